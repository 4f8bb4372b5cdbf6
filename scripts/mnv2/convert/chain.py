"""Follows a Graph from the image to its outputs: the one chain of layers that a MobileNet is, whatever its source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Optional, Union

import numpy as np

from mnv2.convert.architecture import Clamp, ConversionError
from mnv2.convert.graph import (INPUT, Clip, Convolution, Dense, Graph, Norm, Operation, Output, Padding, Pool, Reshape,
                                Sum)
from mnv2.convert.numpy_ops import Pads

NO_PADS = (0, 0, 0, 0)


class ChainError(ConversionError):
    """An operation that no model file can hold; names it."""


@dataclass(eq=False)
class FoundLayer:
    """A layer with what belongs to it. `source` and `value` are the nodes whose values it takes and gives."""

    operation: Union[Convolution, Dense]
    source: int
    value: int
    pads: Optional[Pads] = NO_PADS  # None: TensorFlow's SAME
    size: Optional[tuple[int, int]] = None  # of the input: height, width
    before: list[Norm] = field(default_factory=list)  # between an activation and this dense layer
    norms: list[Norm] = field(default_factory=list)
    clamp: Clamp = None
    residual: Optional[int] = None  # the node whose value is added

    @property
    def name(self) -> str:
        return self.operation.name


@dataclass
class Chain:
    """What a network is made of, in order of execution."""

    maps: list[FoundLayer]  # convolutions before the pooling
    dense: list[FoundLayer]  # after it; 1x1 convolutions are dense layers there
    pooled: bool
    input_norms: list[Norm]  # on the image, before everything else
    output_activation: Optional[str]


@dataclass(frozen=True)
class _Value:
    """What is known of a node: the layer that made it (None: the image), and what was done since."""

    node: int  # the last one that a layer or a sum has made
    layer: Optional[FoundLayer] = None
    pads: Pads = NO_PADS
    size: Optional[tuple[int, int]] = None
    pooled: bool = False
    summed: bool = False
    before: tuple[Norm, ...] = ()
    output: Optional[str] = None


def follow(graph: Graph) -> Chain:
    """The chain of `graph`. Raises ChainError."""
    return _Follower(graph).run()


class _Follower:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.chain = Chain([], [], False, [], None)
        self.users: dict[int, int] = {}
        side = graph.side
        self.values = {INPUT: _Value(INPUT, size=None if side is None else (side, side))}

    def run(self) -> Chain:
        nodes = self.graph.needed()
        for node in nodes:
            for source in self.graph.inputs[node - 1]:
                self.users[source] = self.users.get(source, 0) + 1
        for node in nodes:
            operation = self.graph.operations[node - 1]
            sources = [self.values[source] for source in self.graph.inputs[node - 1]]
            if any(source.output is not None for source in sources) and not isinstance(operation, Reshape):
                raise ChainError(f"{_name(operation)} after a {sources[0].output}, which is the end of a classifier")
            single = all(self.users[source] == 1 for source in self.graph.inputs[node - 1])
            self.values[node] = self._see(node, operation, sources, single)
        last = self.values[self.graph.output]
        if last.layer is None:
            raise ChainError("no layer at all")
        if any(last.pads) or last.before:
            raise ChainError(f"padding or normalisation after {last.layer.name}, where the network ends")
        self.chain.pooled = last.pooled
        self.chain.output_activation = last.output
        return self.chain

    def _see(self, node: int, operation: Operation, sources: list[_Value], single: bool) -> _Value:
        value = sources[0]
        if isinstance(operation, Convolution):
            return self._convolution(node, operation, value)
        if isinstance(operation, Dense):
            return self._dense(node, operation, value)
        if isinstance(operation, Norm):
            return self._norm(operation, value, single)
        if isinstance(operation, Clip):
            return self._clip(operation, value, single)
        if isinstance(operation, Padding):
            return replace(value, pads=tuple(a + b for a, b in zip(value.pads, operation.pads)))
        if isinstance(operation, Pool):
            return self._pool(operation, value)
        if isinstance(operation, Sum):
            return self._sum(node, *sources)
        if isinstance(operation, Output):
            return replace(value, output=operation.kind)
        return self._reshape(operation, value)

    def _convolution(self, node: int, operation: Convolution, value: _Value) -> _Value:
        if value.pooled:
            if operation.weight.shape[2:] != (1, 1) or operation.depthwise:
                raise ChainError(f"{operation.name}: a {_kernel(operation)} convolution after the pooling")
            dense = Dense(operation.name, operation.weight.reshape(operation.weight.shape[:2]), operation.bias)
            return self._dense(node, dense, value)
        if operation.pads is None:
            if any(value.pads):
                raise ChainError(f"{operation.name}: zeros around an input that is padded (SAME) besides")
            pads = None
        else:
            pads = tuple(a + b for a, b in zip(value.pads, operation.pads))
        layer = FoundLayer(operation, value.node, node, pads, value.size)
        self.chain.maps.append(layer)
        return _Value(node, layer, size=_output_size(layer))

    def _dense(self, node: int, operation: Dense, value: _Value) -> _Value:
        if not value.pooled:
            raise ChainError(f"{operation.name}: a dense layer on a whole map; MobileNets pool it first")
        layer = FoundLayer(operation, value.node, node, before=list(value.before))
        self.chain.dense.append(layer)
        return _Value(node, layer, pooled=True)

    def _norm(self, norm: Norm, value: _Value, single: bool) -> _Value:
        layer = value.layer
        if layer is None:
            if any(value.pads):
                raise ChainError(f"{norm.name}: normalises an image that has been padded")
            self.chain.input_norms.append(norm)
            return value
        if value.pooled and (layer.clamp is not None or layer not in self.chain.dense):
            return replace(value, before=(*value.before, norm))  # goes into the dense layer after it
        if value.summed or layer.clamp is not None or any(value.pads) or not single:
            raise ChainError(f"{norm.name}: a normalisation that does not follow its convolution directly ({layer.name})")
        layer.norms.append(norm)
        return value

    def _clip(self, clip: Clip, value: _Value, single: bool) -> _Value:
        layer = value.layer
        where = "the image" if layer is None else layer.name
        if (layer is None or value.summed or any(value.pads) or value.before or not single or
                value.pooled and layer not in self.chain.dense):
            raise ChainError(f"an activation after {where}, where no model file can have one")
        low, high = clip.low, clip.high
        if layer.clamp is not None:  # ReLU, then its upper bound
            low = max(low, layer.clamp[0])
            high = min((bound for bound in (high, layer.clamp[1]) if bound is not None), default=None)
        if high is not None and not low <= high:
            raise ChainError(f"{layer.name}: an activation between {low:g} and {high:g}")
        layer.clamp = (_plain(low), None if high is None else _plain(high))
        return value

    def _pool(self, pool: Pool, value: _Value) -> _Value:
        if value.layer is None or value.pooled or any(value.pads):
            raise ChainError(f"{pool.name}: an average of {'the image' if value.layer is None else 'what is pooled or padded'}")
        if pool.kernel is not None and value.size is not None and pool.kernel != value.size:
            raise ChainError(f"{pool.name}: the average over {_by(pool.kernel)} pixels of a map of {_by(value.size)}, expected "
                             "that of the whole map")
        return replace(value, pooled=True, size=None)

    def _reshape(self, operation: Reshape, value: _Value) -> _Value:
        if operation.flat and not value.pooled:
            if value.size != (1, 1) or value.layer is None or any(value.pads):
                raise ChainError(f"{operation.name}: flattens a map of {_by(value.size)} pixels into a vector; MobileNets "
                                 "average it")
            return replace(value, pooled=True, size=None)
        return value

    def _sum(self, node: int, first: _Value, second: _Value) -> _Value:
        layers = [value.layer for value in (first, second)]
        if None in layers or first.pooled or second.pooled or any(first.pads + second.pads):
            raise ChainError("a sum of two values that is no residual connection")
        last, other = (first, second) if self.chain.maps.index(layers[0]) > self.chain.maps.index(layers[1]) else (second, first)
        given = self.graph.inputs[node - 1][0 if last is first else 1]
        if last.layer is other.layer or last.summed or last.layer.residual is not None or self.users[given] != 1:
            raise ChainError(f"{last.layer.name}: a sum that is no residual connection")
        if last.layer.clamp is not None:
            raise ChainError(f"{last.layer.name}: an activation before a residual connection is added")
        last.layer.residual = other.node
        last.layer.value = node
        return _Value(node, last.layer, size=last.size, summed=True)


def _name(operation: Operation) -> str:
    return getattr(operation, "name", "") or type(operation).__name__


def _by(size: Optional[tuple[int, int]]) -> str:
    return "unknown size" if size is None else f"{size[0]}x{size[1]}"


def _kernel(operation: Convolution) -> str:
    return _by(operation.weight.shape[2:])


def _output_size(layer: FoundLayer) -> Optional[tuple[int, int]]:
    if layer.size is None:
        return None
    stride, kernel = layer.operation.stride, layer.operation.weight.shape[2:]
    if layer.pads is None:
        sizes = tuple(-(-size // stride) for size in layer.size)
    else:
        left, right, top, bottom = layer.pads
        sizes = tuple((size + around - k) // stride + 1
                      for size, around, k in zip(layer.size, (top + bottom, left + right), kernel))
    if min(sizes) < 1:
        raise ChainError(f"{layer.name}: a {_kernel(layer.operation)} convolution of a map of {_by(layer.size)} pixels")
    return sizes


def _plain(value: float) -> float:
    """An integer where there is one, as the converter writes it."""
    return int(value) if float(value).is_integer() else float(np.float32(value))
