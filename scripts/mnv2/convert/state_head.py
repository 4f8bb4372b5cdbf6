"""The classifier of a state_dict, whatever its names: dense layers in a row after the pooled features, with BatchNorms.

A state_dict holds no activations. In an nn.Sequential the numbers tell: `classifier.1` and `classifier.4` have room for one
between them, `0` and `1` have not. Elsewhere a ReLU is assumed between two dense layers, and the converter says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Optional

from mnv2.convert.architecture import LINEAR, RELU, Clamp

if TYPE_CHECKING:
    from mnv2.convert.layouts import ChainReader, Origin


@dataclass(frozen=True)
class DenseShape:
    """A dense layer of a head: channels, and what follows it."""

    origin: "Origin"
    in_c: int
    out_c: int
    clamp: Clamp


def read_head(chain: "ChainReader") -> list[DenseShape]:
    """Takes the dense layers that go on where the features of `chain` end; none when there are none."""
    from mnv2.convert.layouts import Origin

    tensors, head = chain.tensors, []
    channels, previous, waiting = chain.channels, None, None  # waiting: a BatchNorm for the next dense layer
    for module in tensors.left_modules():
        if f"{module}.running_mean" in tensors:
            if tensors.shape(f"{module}.running_mean") != (channels,):
                continue
            if head and waiting is None and head[-1].origin.bn is None and _gap(previous, module) in (None, 1):
                origin = replace(head[-1].origin, bn=module, eps=chain.bn_eps)
                head[-1] = replace(head[-1], origin=origin)
                previous = module
            elif waiting is None:  # after an activation, or on the features
                head[-1:] = [replace(dense, clamp=RELU) for dense in head[-1:]]
                waiting = previous = module
            else:
                continue
            tensors.take_norm(module, channels)
        elif len(shape := tensors.shape(f"{module}.weight")) == 2 and shape[1] == channels:
            if head and waiting is None:
                clamp = LINEAR if _gap(previous, module) == 1 else RELU
                head[-1] = replace(head[-1], clamp=clamp)
            tensors.take(f"{module}.weight", (None, channels))
            if f"{module}.bias" in tensors:
                tensors.take(f"{module}.bias", shape[:1])
            head.append(DenseShape(Origin(module, None, chain.bn_eps, before=waiting), channels, shape[0], LINEAR))
            channels, previous, waiting = shape[0], module, None
    if waiting is not None and not head:
        tensors.put_back(waiting)
    return head


def _gap(first: Optional[str], second: str) -> Optional[int]:
    """How far the modules are apart in their nn.Sequential; None when they are not in one."""
    pattern = re.compile(r"(.*?)(\d+)$")
    matches = pattern.match(first or ""), pattern.match(second)
    if None in matches or matches[0][1] != matches[1][1] or not (matches[0][1] == "" or matches[0][1].endswith(".")):
        return None
    return int(matches[1][2]) - int(matches[0][2])
