"""Folders of Hugging Face's MobileNetV1/V2ForImageClassification: config.json, preprocessor_config.json and the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

from mnv2.convert.architecture import ACTIVATIONS, Preprocessing
from mnv2.convert.known_layouts import recognise
from mnv2.convert.layouts import Settings
from mnv2.convert.pytorch_file import read_pytorch
from mnv2.convert.read_state import source_of_state
from mnv2.convert.source import Source, SourceError

LAYOUT_OF = {"mobilenet_v1": "huggingface-mobilenetv1", "mobilenet_v2": "huggingface-mobilenetv2"}
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


def read_hugging_face(folder: Path) -> Source:
    """Raises ConversionError, OSError."""
    config = _json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in LAYOUT_OF:
        raise SourceError(f"{folder}: a model of the type {str(kind)[:40]}, expected {' or '.join(LAYOUT_OF)}")
    if config.get("output_stride", 32) != 32:
        raise SourceError(f"{folder}: an output_stride of {config['output_stride']}: dilated convolutions, which the engine does "
                          "not have")
    activation = config.get("hidden_act", "relu6")
    if activation not in ACTIVATIONS:
        raise SourceError(f"{folder}: the activation {activation}, expected {' or '.join(ACTIVATIONS)}")
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise SourceError(f"{folder}: neither {' nor '.join(WEIGHTS)}")
    settings = Settings(padding="same" if config.get("tf_padding", True) else "symmetric", activation=activation,
                        bn_eps=float(config.get("layer_norm_eps", 0.001)))
    state = read_pytorch(weights)
    recognised = recognise(state.tensors, settings, LAYOUT_OF[kind])
    source = source_of_state(state, recognised)
    source.title = "Hugging Face's " + {"mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2"}[kind]
    source.notes = [line for line in source.notes if not line.startswith("a state_dict does not hold")]
    source.notes.append(f"{settings.padding} padding, {activation} and BatchNorm's eps {settings.bn_eps:g} of config.json")
    source.preprocessing = _images(folder, source.notes)
    source.labels = _labels(config, source.network.architecture.outputs)
    if source.labels is not None:
        source.notes.append("labels of config.json")
    return source


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: damaged JSON: {error}") from None
    if not isinstance(value, dict):
        raise SourceError(f"{path}: no JSON object")
    return value


def _labels(config: dict[str, Any], outputs: int) -> Optional[list[str]]:
    names = config.get("id2label")
    if not isinstance(names, dict) or sorted(names) != sorted(map(str, range(outputs))):
        return None
    labels = [names[str(i)] for i in range(outputs)]
    if not all(isinstance(label, str) and label for label in labels) or labels == [f"LABEL_{i}" for i in range(outputs)]:
        return None
    return labels


def _images(folder: Path, notes: list[str]) -> Preprocessing:
    """Those of preprocessor_config.json, or of the processors' own defaults."""
    path = folder / "preprocessor_config.json"
    given = _json(path) if path.is_file() else {}
    notes.append("images of preprocessor_config.json" if given else
                 "images as the processor's defaults have them: 256, 224, mean and std 0.5")
    crop_given = given.get("do_center_crop", True)
    crop, size = given.get("crop_size", 224), given.get("size", {"shortest_edge": 256})
    number = given.get("resample", 2)
    if number not in RESAMPLING:
        raise SourceError(f"{path}: resample {number}, expected one of {', '.join(map(str, RESAMPLING))}")
    factor = 255 * float(given.get("rescale_factor", 1 / 255)) if given.get("do_rescale", True) else 255.0
    normalised = given.get("do_normalize", True)
    mean, std = (([float(value) for value in given.get(key, [0.5] * 3)] if normalised else [plain] * 3)
                 for key, plain in (("image_mean", 0.5), ("image_std", 0.5)))
    if not normalised:
        mean, std = [0.0] * 3, [1.0] * 3
    if len(mean) != 3 or len(std) != 3:
        raise SourceError(f"{path}: image_mean {mean} and image_std {std}, expected three numbers each")
    scale = (tuple(_short(value / factor) for value in values) for values in (mean, std))
    if isinstance(size, dict) and "shortest_edge" not in size or not crop_given:
        side = size.get("height", size.get("shortest_edge")) if isinstance(size, dict) else size
        if isinstance(size, dict) and size.get("width", side) != side or crop_given and _side(crop) != side:
            raise SourceError(f"{path}: size {size} and crop_size {crop}, expected one square")
        return Preprocessing(int(side), int(side), *scale, RESAMPLING[number], "squash")
    shortest = size["shortest_edge"] if isinstance(size, dict) else size
    return Preprocessing(int(shortest), _side(crop), *scale, RESAMPLING[number], "crop-floor")


def _side(crop: Any) -> int:
    if isinstance(crop, dict):
        if crop.get("height") != crop.get("width"):
            raise SourceError(f"a crop of {crop}, expected a square")
        crop = crop["height"]
    return int(crop)


def _short(value: float) -> float:
    short = float(f"{value:.9g}")
    return short if abs(short - value) <= 1e-12 * abs(value) else value
