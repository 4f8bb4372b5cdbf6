"""Runs the network of a model file with numpy in float64, from nothing but what the file holds."""

from __future__ import annotations

import json
from typing import Any, Mapping

import numpy as np

from mnv2.convert.numpy_ops import convolve, pad


def run_model_file(metadata: Mapping[str, str], tensors: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Outputs [N, outputs] before softmax or sigmoid, or the embedding [N, features] of a network without classifier;
    `images` [N, 3, H, W], normalised."""
    architecture = json.loads(metadata["architecture"])
    same = architecture["padding"] == "same"

    def run(name: str, layer: dict[str, Any], x: np.ndarray) -> np.ndarray:
        weight, bias = (tensors[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias"))
        if layer["kind"] == "linear":
            x = x @ weight.T + bias
        else:
            if layer["kernel"] == 3:
                # For stride 2 on an even size, "same" puts the one row and column that is needed at the end.
                top, left = (0 if same and layer["stride"] == 2 and size % 2 == 0 else 1 for size in x.shape[2:])
                x = pad(x, (left, 1, top, 1))
            x = convolve(x, weight, layer["stride"], layer["kind"] == "depthwise") + bias.reshape(-1, 1, 1)
        return x if layer["clamp"] is None else x.clip(*layer["clamp"])

    x = run("stem", architecture["stem"], images.astype(np.float64))
    for index, block in enumerate(architecture["blocks"]):
        y = x
        for part in ("expand", "depthwise", "project"):
            if block[part] is not None:
                y = run(f"blocks.{index}.{part}", block[part], y)
        x = x + y if block["residual"] else y
    if architecture["head"] is not None:
        x = run("head", architecture["head"], x)
    x = x.mean((2, 3))
    classifier = architecture["classifier"]
    if isinstance(classifier, list):
        for index, layer in enumerate(classifier):
            x = run(f"classifier.{index}", layer, x)
        return x
    return x if classifier is None else run("classifier", classifier, x)


def compare_outputs(found: np.ndarray, expected: np.ndarray, tolerance: float) -> str:
    """What is wrong with `found`; empty when it equals `expected` but for `tolerance` times the largest |output|."""
    if found.shape != expected.shape:
        return f"outputs of the shape {list(found.shape)}, expected {list(expected.shape)}"
    largest, difference = float(np.abs(expected).max()), float(np.abs(found - expected).max())
    if not difference <= tolerance * largest:  # NaN is a difference too
        return f"a difference of {difference:.3g} where the largest is {largest:.3g}"
    return ""
