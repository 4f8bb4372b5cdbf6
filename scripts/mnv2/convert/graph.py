"""A network as a source describes it: operations in order of execution, maps as [N, C, H, W], weights as PyTorch has them.

Readers of structured files (Keras, TensorFlow.js, TFLite, ONNX, an observed module) make a Graph; chain.py follows it.
run_graph is the plain implementation that conversions are checked with: it runs each operation as the source states it,
before anything is folded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional, Union

import numpy as np

from mnv2.convert.numpy_ops import Pads, convolve, pad, same_pads


@dataclass(frozen=True)
class Convolution:
    """`weight` [out, in, kh, kw], or depthwise [C, 1, kh, kw]; `pads` None for TensorFlow's SAME."""

    name: str
    weight: np.ndarray
    bias: Optional[np.ndarray]
    stride: int = 1
    pads: Optional[Pads] = (0, 0, 0, 0)
    depthwise: bool = False


@dataclass(frozen=True)
class Dense:
    """`weight` [out, in]."""

    name: str
    weight: np.ndarray
    bias: Optional[np.ndarray]


@dataclass(frozen=True)
class Norm:
    """(x - mean) / sqrt(variance + eps) * gamma + beta by channel. `parameters`: how many of these were trained."""

    name: str
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    eps: float
    parameters: int = 0


@dataclass(frozen=True)
class Clip:
    """An activation: none below `low`, none above `high` (None: no bound)."""

    low: float
    high: Optional[float]


@dataclass(frozen=True)
class Padding:
    pads: Pads


@dataclass(frozen=True)
class Pool:
    """The average of a map; `kernel` (height, width) where the source has a window, which must then be the whole map."""

    name: str
    kernel: Optional[tuple[int, int]] = None


@dataclass(frozen=True)
class Sum:
    """Of two values."""


@dataclass(frozen=True)
class Reshape:
    """Another form of the same values, and whatever else does nothing at inference; `flat` when maps become vectors."""

    name: str
    flat: bool = True


@dataclass(frozen=True)
class Output:
    """What follows the last layer: "softmax" or "sigmoid". run_graph leaves it out."""

    kind: str


Operation = Union[Convolution, Dense, Norm, Clip, Padding, Pool, Sum, Reshape, Output]
INPUT = 0  # the first node is the image


@dataclass
class Graph:
    """Node 0 is the image, `side` pixels high and wide where the source tells; node i + 1 is `operations[i]`."""

    side: Optional[int] = None
    operations: list[Operation] = field(default_factory=list)
    inputs: list[tuple[int, ...]] = field(default_factory=list)
    output: int = INPUT

    def add(self, operation: Operation, *inputs: int) -> int:
        """The new node, which becomes the output."""
        self.operations.append(operation)
        self.inputs.append(inputs)
        self.output = len(self.operations)
        return self.output

    def needed(self) -> list[int]:
        """The nodes that the output depends on, in order, without the image."""
        wanted = {self.output}
        for node in range(self.output, INPUT, -1):
            if node in wanted:
                wanted.update(self.inputs[node - 1])
        return sorted(wanted - {INPUT})


def run_graph(graph: Graph, images: np.ndarray) -> np.ndarray:
    """What the network gives for `images` [N, 3, H, W] before a final softmax or sigmoid: [N, outputs]."""
    values: dict[int, Any] = {INPUT: images.astype(np.float64)}
    nodes = graph.needed()
    last_use = {source: node for node in nodes for source in graph.inputs[node - 1]}
    for node in nodes:
        sources = graph.inputs[node - 1]
        values[node] = _run(graph.operations[node - 1], *(values[source] for source in sources))
        for source in set(sources):
            if last_use[source] == node:
                del values[source]  # maps are large
    return values[graph.output].reshape(len(images), -1)


def _by_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.reshape(values, (1, -1) + (1,) * (x.ndim - 2))


def _run(operation: Operation, x: np.ndarray, *others: np.ndarray) -> np.ndarray:
    if isinstance(operation, Convolution):
        x = x.reshape(*x.shape, 1, 1) if x.ndim == 2 else x
        pads = operation.pads
        if pads is None:
            pads = same_pads(x.shape[2], x.shape[3], operation.weight.shape[2:], operation.stride)
        x = convolve(pad(x, pads), operation.weight, operation.stride, operation.depthwise)
        return x if operation.bias is None else x + _by_channel(operation.bias, x)
    if isinstance(operation, Dense):
        x = x.reshape(len(x), -1) @ operation.weight.T
        return x if operation.bias is None else x + operation.bias
    if isinstance(operation, Norm):
        x = (x - _by_channel(operation.mean, x)) / np.sqrt(_by_channel(operation.variance, x) + operation.eps)
        return x * _by_channel(operation.gamma, x) + _by_channel(operation.beta, x)
    if isinstance(operation, Clip):
        return np.clip(x, operation.low, operation.high)
    if isinstance(operation, Padding):
        return pad(x, operation.pads)
    if isinstance(operation, Pool):
        return x.mean((2, 3))
    if isinstance(operation, Sum):
        return x + others[0]
    return x
