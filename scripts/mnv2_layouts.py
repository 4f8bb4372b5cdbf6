"""Recognises the layout of a checkpoint from the names and shapes of its tensors.

One function per layout; each says which tensors make each layer of the model file. Folding (mnv2_fold.py) is the same
for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Sequence

import numpy as np

from mnv2_block_table import BlockShape, Row, Table, TableError, check_table, find_table
from mnv2_model_file import LINEAR, RELU6, Architecture, Block, Layer

Shape = tuple[Optional[int], ...]  # None: any number of channels


class LayoutError(Exception):
    """Tensors that do not make the network; names the first one that does not fit."""


@dataclass(frozen=True)
class Origin:
    """The modules of the checkpoint that one layer is made of; `<conv>.weight`, perhaps `<conv>.bias`."""

    conv: str
    bn: Optional[str]


@dataclass(frozen=True)
class Recognised:
    """An architecture, the origin of each of its layers by name, and the table behind its blocks."""

    architecture: Architecture
    origins: dict[str, Origin]
    table: Table


class _Tensors:
    """Takes tensors out of a state_dict one by one, checking shapes, so that what is left over is known."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors = tensors
        self._left = dict.fromkeys(tensors)

    def take(self, name: str, expected: Shape) -> tuple[int, ...]:
        """The shape of `name`, which must agree with `expected`."""
        wanted = "[" + ", ".join("any" if size is None else str(size) for size in expected) + "]"
        if name not in self._tensors:
            raise LayoutError(f"{name} is missing, expected {wanted}; the checkpoint begins with {self._first()}")
        shape = self._tensors[name].shape
        fits = len(shape) == len(expected) and all(want in (None, size) for want, size in zip(expected, shape))
        if not fits or 0 in shape:
            raise LayoutError(f"{name} has the shape {list(shape)}, expected {wanted}")
        self._left.pop(name, None)
        return shape

    def take_norm(self, prefix: str, channels: int) -> None:
        """The four tensors of a BatchNorm and its counter, which networks of before PyTorch 0.4.1 lack."""
        for part in ("weight", "bias", "running_mean", "running_var"):
            self.take(f"{prefix}.{part}", (channels,))
        self._left.pop(f"{prefix}.num_batches_tracked", None)

    def finish(self) -> None:
        if self._left:
            name = next(iter(self._left))
            raise LayoutError(f"{name} {list(self._tensors[name].shape)} is unexpected")

    def _first(self) -> str:
        name, tensor = next(iter(self._tensors.items()))
        return f"{name} {list(tensor.shape)}"


def recognise_torchvision_v2(tensors: Mapping[str, np.ndarray], rows: Optional[Sequence[Row]] = None) -> Recognised:
    """torchvision's MobileNetV2 with any width_mult, num_classes, round_nearest and inverted_residual_setting.

    `rows` is that setting when the user states it. Raises LayoutError.
    """
    source = _Tensors(tensors)
    stem = source.take("features.0.0.weight", (None, 3, 3, 3))[0]
    source.take_norm("features.0.1", stem)
    origins = {"stem": Origin("features.0.0", "features.0.1")}

    shapes: list[BlockShape] = []
    channels = stem
    for index in range(1, _last_block(tensors) + 1):
        shape, parts = _take_block(source, tensors, f"features.{index}.conv", channels)
        origins.update({f"blocks.{index - 1}.{part}": origin for part, origin in parts.items()})
        shapes.append(shape)
        channels = shape.out_c

    prefix = f"features.{len(shapes) + 1}"
    features = source.take(f"{prefix}.0.weight", (None, channels, 1, 1))[0]
    source.take_norm(f"{prefix}.1", features)
    origins["head"] = Origin(f"{prefix}.0", f"{prefix}.1")
    classes = source.take("classifier.1.weight", (None, features))[0]
    source.take("classifier.1.bias", (classes,))
    origins["classifier"] = Origin("classifier.1", None)
    source.finish()

    try:
        table = find_table(stem, shapes, features) if rows is None else check_table(rows, stem, shapes, features)
    except TableError as error:
        raise LayoutError(f"inverted_residual_setting: {error}") from None
    architecture = Architecture(
        name="mobilenet_v2",
        stem=Layer("conv", 3, stem, 3, 2, RELU6),
        blocks=tuple(_block(shape, stride) for shape, stride in zip(shapes, table.strides)),
        head=Layer("pointwise", channels, features, 1, 1, RELU6),
        classifier=Layer("linear", features, classes, 1, 1, LINEAR))
    return Recognised(architecture, origins, table)


def _last_block(tensors: Mapping[str, np.ndarray]) -> int:
    """The highest i of `features.i.conv.*`, at least 1 so that a network without blocks misses its first."""
    parts = (name.split(".") for name in tensors)
    return max((int(part[1]) for part in parts
                if len(part) > 2 and part[0] == "features" and part[1].isdecimal() and part[2] == "conv"), default=1)


def _take_block(source: _Tensors, tensors: Mapping[str, np.ndarray], prefix: str,
                in_c: int) -> tuple[BlockShape, dict[str, Origin]]:
    """The shape of the inverted residual at `prefix`, and where its layers are."""
    first = tensors.get(f"{prefix}.0.0.weight")
    expanded = first is None or first.ndim != 4 or first.shape[2:] != (3, 3)
    parts: dict[str, Origin] = {}
    hidden, at = in_c, 0
    if expanded:
        hidden, at = source.take(f"{prefix}.0.0.weight", (None, in_c, 1, 1))[0], 1
        source.take_norm(f"{prefix}.0.1", hidden)
        parts["expand"] = Origin(f"{prefix}.0.0", f"{prefix}.0.1")
    source.take(f"{prefix}.{at}.0.weight", (hidden, 1, 3, 3))
    source.take_norm(f"{prefix}.{at}.1", hidden)
    out_c = source.take(f"{prefix}.{at + 1}.weight", (None, hidden, 1, 1))[0]
    source.take_norm(f"{prefix}.{at + 2}", out_c)
    parts["depthwise"] = Origin(f"{prefix}.{at}.0", f"{prefix}.{at}.1")
    parts["project"] = Origin(f"{prefix}.{at + 1}", f"{prefix}.{at + 2}")
    return BlockShape(in_c, hidden, out_c, expanded), parts


def _block(shape: BlockShape, stride: int) -> Block:
    return Block(
        expand=Layer("pointwise", shape.in_c, shape.hidden, 1, 1, RELU6) if shape.expanded else None,
        depthwise=Layer("depthwise", shape.hidden, shape.hidden, 3, stride, RELU6),
        project=Layer("pointwise", shape.hidden, shape.out_c, 1, 1, LINEAR),
        residual=stride == 1 and shape.in_c == shape.out_c)
