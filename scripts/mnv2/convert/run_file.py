"""Runs the network of a model file in PyTorch, from nothing but what the file holds."""

from __future__ import annotations

import json
from typing import Any, Mapping

import numpy as np
import torch
import torch.nn.functional as F


def run_model_file(metadata: Mapping[str, str], tensors: Mapping[str, np.ndarray], images: torch.Tensor) -> torch.Tensor:
    """Logits [N, classes], or the embedding [N, features] of a network without classifier; `images` [N, 3, H, W]."""
    architecture = json.loads(metadata["architecture"])
    same = architecture["padding"] == "same"

    def run(name: str, layer: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        weight, bias = (torch.from_numpy(tensors[f"{name}.{part}"].copy()) for part in ("weight", "bias"))
        if layer["kind"] == "linear":
            return F.linear(x, weight, bias)
        if layer["kernel"] == 3:
            # For stride 2 on an even size, "same" puts the one row and column that is needed at the end.
            before = [0 if same and layer["stride"] == 2 and size % 2 == 0 else 1 for size in x.shape[2:]]
            x = F.pad(x, (before[1], 1, before[0], 1))
        x = F.conv2d(x, weight, bias, layer["stride"], groups=layer["in_channels"] if layer["kind"] == "depthwise" else 1)
        return x if layer["clamp"] is None else x.clamp(*layer["clamp"])

    with torch.no_grad():
        x = run("stem", architecture["stem"], images)
        for index, block in enumerate(architecture["blocks"]):
            y = x
            for part in ("expand", "depthwise", "project"):
                if block[part] is not None:
                    y = run(f"blocks.{index}.{part}", block[part], y)
            x = x + y if block["residual"] else y
        if architecture["head"] is not None:
            x = run("head", architecture["head"], x)
        x = x.mean((2, 3))
        return x if architecture["classifier"] is None else run("classifier", architecture["classifier"], x)
