"""The network of a state_dict as a Graph, with its BatchNorms as they were, to check a conversion with."""

from __future__ import annotations

from typing import Mapping, Optional

import numpy as np

from mnv2.convert.architecture import Clamp, Layer
from mnv2.convert.graph import INPUT, Clip, Convolution, Dense, Graph, Norm, Pool, Sum
from mnv2.convert.layouts import Recognised


def graph_of(recognised: Recognised, tensors: Mapping[str, np.ndarray]) -> Graph:
    """`tensors` are those of the state_dict, float64."""
    architecture, graph = recognised.architecture, Graph()

    def norm(bn: str, eps: float) -> Norm:
        return Norm(bn, *(tensors[f"{bn}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")), eps)

    def clip(clamp: Clamp, node: int) -> int:
        return node if clamp is None else graph.add(Clip(*clamp), node)

    def add(name: str, layer: Layer, node: int) -> int:
        origin = recognised.origins[name]
        weight, bias = tensors[f"{origin.conv}.weight"], tensors.get(f"{origin.conv}.bias")
        if layer.kind == "linear":
            if origin.before is not None:
                node = graph.add(norm(origin.before, origin.eps), node)
            node = graph.add(Dense(origin.conv, weight.reshape(weight.shape[:2]), bias), node)
        else:
            pads = (0, 0, 0, 0) if layer.kernel == 1 else None if architecture.padding == "same" else (1, 1, 1, 1)
            node = graph.add(Convolution(origin.conv, weight, bias, layer.stride, pads, layer.kind == "depthwise"), node)
        if origin.bn is not None:
            node = graph.add(norm(origin.bn, origin.eps), node)
        return clip(layer.clamp, node)

    def add_known(name: str, layer: Optional[Layer], node: int) -> int:
        return node if layer is None else add(name, layer, node)

    node = add("stem", architecture.stem, INPUT)
    for i, block in enumerate(architecture.blocks):
        source = node
        node = add_known(f"blocks.{i}.expand", block.expand, node)
        node = add(f"blocks.{i}.depthwise", block.depthwise, node)
        node = add(f"blocks.{i}.project", block.project, node)
        if block.residual:
            node = graph.add(Sum(), source, node)
    node = add_known("head", architecture.head, node)
    node = graph.add(Pool("the average"), node)
    for name, layer in architecture.classifier_layers():
        node = add(name, layer, node)
    return graph
