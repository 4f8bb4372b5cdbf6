"""Keras' own files (.keras): a zip archive of config.json and model.weights.h5, whose groups are named by class and number."""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from mnv2.convert.h5_file import read_h5_file
from mnv2.convert.keras_config import MODELS, Variables, keras_graph, layer_name, model_layers
from mnv2.convert.read_keras import keras_source, parse_config
from mnv2.convert.source import Source, SourceError

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MAX_BYTES = 1 << 30  # of the weights


def is_keras(names: Sequence[str]) -> bool:
    return CONFIG in names and WEIGHTS in names


def read_keras_zip(path: Path, archive: zipfile.ZipFile, data: bytes) -> Source:
    """Raises ConversionError, OSError, ImportError."""
    config = parse_config(archive.read(CONFIG).decode(), path)
    if archive.getinfo(WEIGHTS).file_size > MAX_BYTES:
        raise SourceError(f"{path}: {archive.getinfo(WEIGHTS).file_size} bytes of weights")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / WEIGHTS
        weights.write_bytes(archive.read(WEIGHTS))
        try:
            arrays = read_h5_file(weights)[1]
        except SourceError as error:
            raise SourceError(f"{path}: {WEIGHTS}: {error}") from None
    groups: dict[str, str] = {}
    _name_groups(config, "", "", groups, 0)
    graph = keras_graph(config, _by_groups(arrays, groups))
    return keras_source("Keras model (.keras)", path, graph, hashlib.sha256(data).hexdigest())


def _name_groups(config: Mapping[str, Any], path: str, group: str, groups: dict[str, str], depth: int) -> None:
    """The group in the file for each layer's path of names: layers/<class in snake case>[_n], counted in each model."""
    counts: Counter = Counter()
    if depth > 20:
        raise SourceError("models nested more than 20 times")
    for entry in model_layers(config):
        snake = _snake(str(entry["class_name"]))
        below = f"{group}layers/{snake}" + (f"_{counts[snake]}" if counts[snake] else "")
        counts[snake] += 1
        name = f"{path}/{layer_name(entry)}" if path else layer_name(entry)
        groups[name] = below
        if entry["class_name"] in MODELS:
            _name_groups(entry, name, f"{below}/", groups, depth + 1)


def _snake(kind: str) -> str:
    """Keras' own way."""
    kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()


def _by_groups(arrays: Mapping[str, np.ndarray], groups: Mapping[str, str]) -> Variables:
    def variables(where: str, kind: str, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        names = {short: f"{groups.get(where)}/vars/{i}" for i, short in enumerate(wanted)}
        for short, name in names.items():
            if name not in arrays:
                raise SourceError(f"{where}: a {kind} without its {short} in the file ({name})")
        return {short: arrays[name] for short, name in names.items()}

    return variables
