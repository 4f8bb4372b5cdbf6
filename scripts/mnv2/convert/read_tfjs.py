"""TensorFlow.js models: model.json with the layers or the graph, and files of weights, which may be quantised.

The format is that of tfjs-core's io: weightsManifest is a list of groups, whose `paths` are read one after the other as one
row of bytes, in which the `weights` follow each other without gaps. A quantised weight is q * scale + min, rounded to float32.
"""

from __future__ import annotations

import hashlib
import json
import math

from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import numpy as np

from mnv2.convert.architecture import Preprocessing
from mnv2.convert.keras_config import keras_graph
from mnv2.convert.labels_beside import labels_beside, teachable_metadata
from mnv2.convert.read_keras import DEFAULT_SIDE, is_teachable, tensorflow_images
from mnv2.convert.source import Source, SourceError, fold_input, recognise_graph
from mnv2.convert.tf_graph import tensorflow_graph

DTYPES = {"float32": "<f4", "int32": "<i4", "uint8": "u1", "uint16": "<u2", "float16": "<f2", "bool": "u1"}
MAX_BYTES = 1 << 30  # of all weights
ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def read_tfjs(model: Path) -> Source:
    """The model in the folder of `model`, a model.json. Raises ConversionError, OSError."""
    data = model.read_bytes()
    try:
        description = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{model}: damaged JSON: {error}") from None
    if not isinstance(description, dict) or "modelTopology" not in description:
        raise SourceError(f"{model}: no modelTopology, so no model of TensorFlow.js")
    weights, digest = _read_weights(model, description.get("weightsManifest"), hashlib.sha256(data))
    topology = description["modelTopology"]
    if description.get("format") == "graph-model" or "node" in topology:
        graph = tensorflow_graph(topology, weights)
        title = "TensorFlow.js graph-model"
    else:
        config = topology.get("model_config", topology)
        graph = keras_graph(json.loads(config) if isinstance(config, str) else config, _by_layer(weights))
        title = "TensorFlow.js layers-model"
    network, chain = recognise_graph(graph)
    labels, stated_side = teachable_metadata(model.parent / "metadata.json")
    side = graph.side or stated_side or DEFAULT_SIDE
    notes: list[str] = []
    if is_teachable(network.architecture):
        title = title.replace("TensorFlow.js", "Teachable Machine's TensorFlow.js")
        base, said = tensorflow_images(side, True)
    else:
        base = Preprocessing(side, side, ZEROS, ONES, "bilinear", "squash-align-corners")
        said = ("images as TensorFlow.js' image packages make them: resizeBilinear with aligned corners, values from 0 to 1 "
                "(--resize-form, --mean, --std)")
    notes.append(said)
    preprocessing, scale, shift, inside = fold_input(chain, base, 255.0 if _of_bytes(chain.input_norms) else 1.0)
    if inside:
        notes.append("mean and std are those of the network's own normalisation")
    if graph.side is None:
        notes.append(f"images of {side} pixels, {'as metadata.json says' if stated_side else 'assumed (--crop)'}")
    if labels is not None and len(labels) == network.architecture.outputs:
        notes.append("labels of metadata.json")
    else:
        labels = labels_beside(model.parent, network.architecture, network.output_activation, notes)
    return Source(title, network, graph, preprocessing, labels, notes, digest, scale, shift)


def _of_bytes(norms: Sequence[Any]) -> bool:
    """Whether a normalisation in the network is one of values up to 255: its first factor is far below 1."""
    return bool(norms) and float(np.max(norms[0].gamma / np.sqrt(norms[0].variance + norms[0].eps))) < 0.05


def _read_weights(model: Path, manifest: Any, digest: Any) -> tuple[dict[str, np.ndarray], str]:
    """The weights by name, and the SHA-256 of all that was read."""
    if not isinstance(manifest, list):
        raise SourceError(f"{model}: no weightsManifest")
    weights: dict[str, np.ndarray] = {}
    for group in manifest:
        parts = []
        for name in group["paths"]:
            path = model.parent / str(name)
            if path.parent.resolve() != model.parent.resolve():
                raise SourceError(f"{model}: weights in another folder, {name}")
            if not path.is_file():
                raise SourceError(f"{model}: {name} is missing; the file of weights belongs beside it")
            parts.append(path.read_bytes())
            digest.update(parts[-1])
        _take_weights(model, group["weights"], b"".join(parts), weights)
    return weights, digest.hexdigest()


def _take_weights(model: Path, entries: Sequence[Mapping[str, Any]], data: bytes, weights: dict[str, np.ndarray]) -> None:
    at = 0
    for entry in entries:
        name, shape, quantised = entry["name"], [int(size) for size in entry["shape"]], entry.get("quantization")
        kind = quantised.get("dtype", "float32") if quantised else entry["dtype"]
        if kind not in DTYPES or min(shape, default=1) < 0:
            raise SourceError(f"{model}: {name}: {kind} values of the shape {shape}")
        dtype, count = np.dtype(DTYPES[kind]), math.prod(shape)
        if count * max(dtype.itemsize, 1) > len(data) - at or count > MAX_BYTES:
            raise SourceError(f"{model}: {name}: {count} values of {kind}, but the files of weights end after "
                              f"{(len(data) - at) // dtype.itemsize} more")
        values = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += values.nbytes
        if quantised and "scale" in quantised:
            values = (values.astype(np.float64) * float(quantised["scale"]) + float(quantised.get("min", 0))).astype(np.float32)
        if name in weights:
            raise SourceError(f"{model}: {name}: two weights of this name")
        weights[name] = values if values.dtype.kind in "iu" and not quantised else values.astype(np.float64)
    if at != len(data):
        raise SourceError(f"{model}: {len(data) - at} bytes of weights that belong to none")


def _by_layer(weights: Mapping[str, np.ndarray]) -> Any:
    """Variables by the last two parts of their names, `Conv1/kernel`."""
    index: dict[tuple[str, str], Optional[str]] = {}
    for name in weights:
        parts = name.split("/")
        key = (parts[-2] if len(parts) > 1 else "", parts[-1].split(":")[0])
        index[key] = None if key in index else name

    def variables(where: str, kind: str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        found = {}
        for short in wanted:
            name = index.get((where.split("/")[-1], short))
            if name is None:
                raise SourceError(f"{where}: a {kind} without its {short} among the weights, or with two of them")
            found[short] = weights[name].astype(np.float64)
        return found

    return variables
