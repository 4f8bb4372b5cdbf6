"""Keras models: HDF5 (.h5) with h5py, .keras with it too, and what their networks mostly expect."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

import numpy as np

from mnv2.convert.architecture import Architecture, Preprocessing
from mnv2.convert.graph import Graph
from mnv2.convert.h5_file import read_h5_file
from mnv2.convert.keras_config import Variables, keras_graph
from mnv2.convert.labels_beside import labels_beside
from mnv2.convert.source import Source, SourceError, fold_input, recognise_graph

HALF = (0.5, 0.5, 0.5)
DEFAULT_SIDE = 224  # pixels, of the images of a model that takes any size


def read_h5(path: Path, data: bytes) -> Source:
    """A model that Keras saved as HDF5, Teachable Machine's keras_model.h5 above all. Raises ConversionError, ImportError."""
    try:
        text, arrays = read_h5_file(path)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None
    if text is None:
        raise SourceError(f"{path}: an HDF5 file without model_config: weights without the model they belong to; save the whole "
                          "model, model.save(FILE)")
    config = parse_config(text, path)
    graph = keras_graph(config, _by_names({tuple(name.split("\n", 1)): values for name, values in arrays.items()}))
    return keras_source("Keras model (HDF5)", path, graph, hashlib.sha256(data).hexdigest())


def parse_config(text: str, path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: model_config is damaged JSON: {error}") from None
    if not isinstance(config, dict) or "class_name" not in config:
        raise SourceError(f"{path}: model_config is no model")
    return config


def _by_names(found: Mapping[tuple[str, str], np.ndarray]) -> Variables:
    """Variables by the last two parts of their names, `Conv1/kernel:0`, within the model's own layer."""
    index: dict[tuple[str, str, str], np.ndarray] = {}
    for (layer, name), values in found.items():
        parts = name.split("/")
        key = (layer, parts[-2] if len(parts) > 1 else layer, parts[-1].split(":")[0])
        if key in index:
            raise SourceError(f"{name}: two weights of this name in {layer}")
        index[key] = values

    def variables(where: str, kind: str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        parts = where.split("/")
        keys = {short: (parts[0], parts[-1], short) for short in wanted}
        for short, key in keys.items():
            if key not in index:
                raise SourceError(f"{where}: a {kind} without its {short} in the file")
        return {short: index[key] for short, key in keys.items()}

    return variables


def keras_source(title: str, path: Path, graph: Graph, sha256: Optional[str],
                 find_labels: Optional[Callable[[int, list[str]], Optional[list[str]]]] = None) -> Source:
    """What a model of Keras' family needs besides its network: its images and its labels.

    `find_labels(outputs, notes)` finds the labels that the file itself has; without any, those beside it are taken.
    """
    network, chain = recognise_graph(graph)
    side = graph.side or DEFAULT_SIDE
    teachable = is_teachable(network.architecture)
    base, said = tensorflow_images(side, teachable)
    preprocessing, scale, shift, inside = fold_input(chain, base, 255.0)
    notes = [said]
    if inside:
        notes.append("mean and std are those of the network's own normalisation")
    if graph.side is None:
        notes.append(f"the model takes images of any size; {side} pixels are assumed (--crop)")
    source = Source(title, network, graph, preprocessing, None, notes, sha256, scale, shift)
    if teachable:
        source.title = f"Teachable Machine's {title}"
    inside_file = find_labels(network.architecture.outputs, notes) if find_labels is not None else None
    source.labels = inside_file or labels_beside(path.parent, network.architecture, network.output_activation, notes)
    return source


def is_teachable(architecture: Architecture) -> bool:
    """The network that Teachable Machine trains: MobileNetV2 of width 0.35, a hidden layer of 100, softmax without bias."""
    layers = [layer for _, layer in architecture.classifier_layers()]
    return (len(layers) == 2 and layers[0].in_channels == 1280 and layers[0].out_channels == 100 and
            layers[0].clamp == (0, None) and architecture.stem.out_channels == 16 and len(architecture.blocks) == 17)


def tensorflow_images(side: int, teachable: bool) -> tuple[Preprocessing, str]:
    """The images that Keras' networks take where the file does not tell, and the words for it."""
    base = Preprocessing(side, side, HALF, HALF, "bilinear", "squash-half-pixel")
    if teachable:
        return (replace(base, form="fit", interpolation="lanczos"),
                "images as Teachable Machine's own script for Keras makes them: the largest square, Lanczos, x / 127.5 - 1")
    return base, ("images as Keras' image_dataset_from_directory and preprocess_input make them: the whole image squashed, "
                  "x / 127.5 - 1 (--resize-form, --mean, --std)")
