"""What a model file says of its network (models/README.md), as Python types. Needs nothing installed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Optional

FORMAT = "mnv2-classify"
FORMAT_VERSION = "2"

Clamp = Optional[tuple[float, Optional[float]]]  # (min, max) of an activation, max None for no bound; None for none
RELU6: Clamp = (0, 6)
RELU: Clamp = (0, None)
LINEAR: Clamp = None


class ConversionError(Exception):
    """Whatever keeps a model file from being made; the base of the converter's errors."""


@dataclass(frozen=True)
class Layer:
    """One layer with BatchNorm folded in, and its activation."""

    kind: str  # "conv", "depthwise", "pointwise" or "linear"
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    clamp: Clamp
    source_parameters: Optional[int] = None  # trainable ones before folding, with BatchNorm's

    def weight_shape(self) -> tuple[int, ...]:
        """The shape of `<name>.weight` in PyTorch order."""
        if self.kind == "linear":
            return (self.out_channels, self.in_channels)
        per_group = 1 if self.kind == "depthwise" else self.in_channels
        return (self.out_channels, per_group, self.kernel, self.kernel)


@dataclass(frozen=True)
class Block:
    """An inverted residual, or with `expand` None and an activation after `project` a block of MobileNetV1."""

    expand: Optional[Layer]
    depthwise: Layer
    project: Layer
    residual: bool


@dataclass(frozen=True)
class Architecture:
    """`head` None: the last block is pooled. `classifier` None: the network gives features only."""

    name: str
    padding: str  # "symmetric" or "same", see models/README.md
    stem: Layer
    blocks: tuple[Block, ...]
    head: Optional[Layer]
    classifier: Optional[Layer]

    def layers(self) -> list[tuple[str, Layer]]:
        """(name, layer) in order of execution; the tensors are `<name>.weight` and `<name>.bias`."""
        named: list[tuple[str, Layer]] = [("stem", self.stem)]
        for i, block in enumerate(self.blocks):
            if block.expand is not None:
                named.append((f"blocks.{i}.expand", block.expand))
            named += [(f"blocks.{i}.depthwise", block.depthwise), (f"blocks.{i}.project", block.project)]
        last = (("head", self.head), ("classifier", self.classifier))
        return named + [(name, layer) for name, layer in last if layer is not None]


@dataclass(frozen=True)
class Preprocessing:
    resize: int = 256  # pixels, of the short side
    crop: int = 224  # pixels
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # RGB, for values in [0, 1]
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"


def compact_json(value: Any) -> str:
    """JSON without spaces, ASCII only: the same bytes for the same value everywhere."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _without_unknown(description: Any) -> Any:
    """The description without counts that are not known; what else is None stands in the file as null."""
    if isinstance(description, dict):
        return {key: _without_unknown(value) for key, value in description.items()
                if key != "source_parameters" or value is not None}
    if isinstance(description, (list, tuple)):
        return [_without_unknown(value) for value in description]
    return description


def make_metadata(architecture: Architecture, preprocessing: Preprocessing, labels: Optional[list[str]], source: str,
                  source_sha256: Optional[str]) -> dict[str, str]:
    """The `__metadata__` of a model file; `labels` and `source_sha256` are left out when None."""
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": compact_json(_without_unknown(asdict(architecture))),
        "preprocessing": compact_json(asdict(preprocessing)),
        "source": source,
    }
    if labels is not None:
        metadata["labels"] = compact_json(labels)
    if source_sha256 is not None:
        metadata["source_sha256"] = source_sha256
    return metadata
