"""TensorFlow's frozen graphs, as TensorFlow.js' graph-models hold them in JSON, as a Graph.

What a converter leaves of a MobileNet: convolutions with what follows fused in, sums, one mean, a dense layer. Operations and
their attributes are TensorFlow's (tensorflow/core/framework, api_def); maps are [N, H, W, C], kernels [h, w, in, out].
"""

from __future__ import annotations

import base64
from typing import Any, Mapping, Optional

import numpy as np

from mnv2.convert.graph import INPUT, Clip, Convolution, Dense, Graph, Norm, Output, Padding, Pool, Reshape, Sum
from mnv2.convert.source import SourceError

MAX_NODES = 5000
NO_OUTPUT = ("Const", "NoOp", "Placeholder")


def tensorflow_graph(topology: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Graph:
    """Raises SourceError, and what malformed JSON raises."""
    nodes = {node["name"]: node for node in topology["node"]}
    if len(nodes) > MAX_NODES or len(nodes) != len(topology["node"]):
        raise SourceError(f"a graph of {len(topology['node'])} nodes, {len(nodes)} names")
    return _Builder(nodes, weights).build()


class _Builder:
    def __init__(self, nodes: Mapping[str, Mapping[str, Any]], weights: Mapping[str, np.ndarray]) -> None:
        self.nodes, self.weights = nodes, weights
        self.graph = Graph()
        self.made: dict[str, int] = {}
        self.constants: dict[str, Optional[np.ndarray]] = {}

    def build(self) -> Graph:
        used = {_plain(source) for node in self.nodes.values() for source in node.get("input", [])}
        ends = [name for name, node in self.nodes.items() if name not in used and node["op"] not in NO_OUTPUT]
        if len(ends) != 1:
            raise SourceError(f"a graph with {len(ends)} outputs, {', '.join(sorted(ends)[:4])}; expected the classes alone")
        order, seen, stack = [], set(), [(ends[0], False)]
        while stack:  # operations after what they take
            name, ready = stack.pop()
            if ready:
                order.append(name)
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack += [(_plain(source), False) for source in self._node(name).get("input", []) if not source.startswith("^")]
        for name in order:
            node = self._node(name)
            if node["op"] == "Placeholder":
                self._placeholder(name, node)
            elif self.constant(name) is None:
                self.made[name] = self._operation(name, node)
        self.graph.output = self.made[ends[0]]
        return self.graph

    def _node(self, name: str) -> Mapping[str, Any]:
        if name not in self.nodes:
            raise SourceError(f"{name}: an input that is no node of the graph")
        return self.nodes[name]

    def _placeholder(self, name: str, node: Mapping[str, Any]) -> None:
        if any(self._node(other)["op"] == "Placeholder" for other in self.made):
            raise SourceError(f"{name}: a second input of the graph, expected one image")
        sizes = [int(size.get("size", -1)) for size in node.get("attr", {}).get("shape", {}).get("shape", {}).get("dim", [])]
        if len(sizes) == 4 and sizes[1] == sizes[2] and 1 <= sizes[1] <= 4096:
            self.graph.side = sizes[1]
        self.made[name] = INPUT

    def constant(self, name: str) -> Optional[np.ndarray]:
        """The values of a node that depends on weights alone; None for others."""
        if name not in self.constants:
            node = self._node(name)
            if node["op"] == "Const":
                if name not in self.weights:
                    raise SourceError(f"{name}: a constant without values")
                self.constants[name] = self.weights[name]
            elif node["op"] in ("Identity", "ReadVariableOp") and len(node.get("input", [])) >= 1:
                source = _plain(node["input"][0])
                stored = self._node(source)["op"] == "Const"
                self.constants[name] = self.constant(source) if stored else self.constants.get(source)
            else:
                self.constants[name] = None
        return self.constants[name]

    def _inputs(self, node: Mapping[str, Any]) -> list[str]:
        return [_plain(source) for source in node.get("input", []) if not source.startswith("^")]

    def _value(self, name: str) -> int:
        if name not in self.made:
            raise SourceError(f"{name}: a constant where an image or a map is expected")
        return self.made[name]

    def _operation(self, name: str, node: Mapping[str, Any]) -> int:
        kind, inputs = node["op"], self._inputs(node)
        if kind in ("Identity", "StopGradient", "CheckNumerics"):
            return self.graph.add(Reshape(name, flat=False), self._value(inputs[0]))
        if kind in ("Squeeze", "Reshape", "Flatten"):
            return self.graph.add(Reshape(name), self._value(inputs[0]))
        if kind in ("Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"):
            return self._convolution(name, node, inputs)
        if kind in ("MatMul", "_FusedMatMul"):
            return self._dense(name, node, inputs)
        if kind in ("Add", "AddV2", "Sub", "Mul", "RealDiv", "BiasAdd"):
            return self._arithmetic(name, kind, inputs)
        if kind in ("Relu", "Relu6"):
            return self.graph.add(Clip(0, 6.0 if kind == "Relu6" else None), self._value(inputs[0]))
        if kind in ("Softmax", "Sigmoid"):
            return self.graph.add(Output(kind.lower()), self._value(inputs[0]))
        if kind in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
            gamma, beta, mean, variance = (self._weights_of(name, source).reshape(-1) for source in inputs[1:5])
            eps = float(node.get("attr", {}).get("epsilon", {}).get("f", 1e-4))
            return self.graph.add(Norm(name, gamma, beta, mean, variance, eps, 2 * gamma.size), self._value(inputs[0]))
        if kind in ("Mean", "AvgPool"):
            return self._pool(name, node, inputs)
        if kind in ("Pad", "PadV2"):
            pads = self._weights_of(name, inputs[1]).astype(int).reshape(-1, 2)
            if pads.shape != (4, 2) or pads[0].any() or pads[3].any():
                raise SourceError(f"{name}: pads {pads.tolist()}")
            return self.graph.add(Padding((*map(int, pads[2]), *map(int, pads[1]))), self._value(inputs[0]))
        if kind in ("MaxPool", "Max"):
            raise SourceError(f"{name}: takes the maximum over pixels, where the engine takes the average")
        raise SourceError(f"{name}: an operation {kind}, which no MobileNet classifier has")

    def _weights_of(self, name: str, source: str) -> np.ndarray:
        values = self.constant(source)
        if values is None:
            raise SourceError(f"{name}: {source} is computed, expected weights")
        return values.astype(np.float64)

    def _convolution(self, name: str, node: Mapping[str, Any], inputs: list[str]) -> int:
        attributes = node.get("attr", {})
        strides, dilations = ([int(x) for x in attributes.get(key, {}).get("list", {}).get("i", [1, 1, 1, 1])]
                              for key in ("strides", "dilations"))
        if _text(attributes.get("data_format", {}).get("s"), "NHWC") != "NHWC":
            raise SourceError(f"{name}: channels before rows")
        if len(strides) != 4 or strides[1] != strides[2] or strides[1] < 1 or set(dilations) - {1}:
            raise SourceError(f"{name}: strides {strides}, dilations {dilations}; expected one stride and no dilation")
        padding = _text(attributes.get("padding", {}).get("s"), "VALID")
        pads: Any = {"SAME": None, "VALID": (0, 0, 0, 0)}.get(padding, padding)
        if padding == "EXPLICIT":
            around = [int(x) for x in attributes.get("explicit_paddings", {}).get("list", {}).get("i", [])]
            pads = (around[4], around[5], around[2], around[3])
        elif isinstance(pads, str):
            raise SourceError(f"{name}: padding {padding}")
        kernel = self._weights_of(name, inputs[1])
        if kernel.ndim != 4 or 0 in kernel.shape:
            raise SourceError(f"{name}: a kernel of the shape {list(kernel.shape)}")
        depthwise = "Depthwise" in node["op"]
        if depthwise and kernel.shape[3] != 1:
            raise SourceError(f"{name}: a depth multiplier of {kernel.shape[3]}, expected 1")
        weight = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        made = self.graph.add(Convolution(name, weight, None, strides[1], pads, depthwise), self._value(inputs[0]))
        return self._fused(name, attributes, inputs, made)

    def _dense(self, name: str, node: Mapping[str, Any], inputs: list[str]) -> int:
        attributes = node.get("attr", {})
        kernel = self._weights_of(name, inputs[1])
        if kernel.ndim != 2 or attributes.get("transpose_a", {}).get("b", False):
            raise SourceError(f"{name}: a matrix product with a kernel of the shape {list(kernel.shape)}")
        weight = kernel if attributes.get("transpose_b", {}).get("b", False) else kernel.T
        return self._fused(name, attributes, inputs, self.graph.add(Dense(name, weight, None), self._value(inputs[0])))

    def _fused(self, name: str, attributes: Mapping[str, Any], inputs: list[str], made: int) -> int:
        """What a fused operation does after its product: BiasAdd, BatchNorm, an activation."""
        fused = [_text(word, "") for word in attributes.get("fused_ops", {}).get("list", {}).get("s", [])]
        rest = inputs[2:]
        for word in fused:
            if word == "BiasAdd":
                made = self._bias(name, self._weights_of(name, rest.pop(0)), made)
            elif word == "FusedBatchNorm":
                gamma, beta, mean, variance = (self._weights_of(name, rest.pop(0)).reshape(-1) for _ in range(4))
                eps = float(attributes.get("epsilon", {}).get("f", 1e-4))
                made = self.graph.add(Norm(name, gamma, beta, mean, variance, eps, 2 * gamma.size), made)
            elif word in ("Relu", "Relu6"):
                made = self.graph.add(Clip(0, 6.0 if word == "Relu6" else None), made)
            elif word == "Sigmoid":
                made = self.graph.add(Output("sigmoid"), made)
            else:
                raise SourceError(f"{name}: {word} fused into it")
        return made

    def _bias(self, name: str, bias: np.ndarray, made: int) -> int:
        return self._affine(name, np.ones(1), bias, made)

    def _affine(self, name: str, scale: np.ndarray, shift: np.ndarray, made: int) -> int:
        operation = self.graph.operations[made - 1] if made != INPUT else None
        channels = 3
        node = made
        while isinstance(operation, (Clip, Norm, Padding, Sum, Reshape, Pool)) and node != INPUT:
            node = self.graph.inputs[node - 1][0]
            operation = self.graph.operations[node - 1] if node != INPUT else None
        if isinstance(operation, (Convolution, Dense)):
            channels = operation.weight.shape[0]
        scale, shift = scale.reshape(-1), shift.reshape(-1)
        if {scale.size, shift.size} - {1, channels}:
            raise SourceError(f"{name}: {scale.size} factors and {shift.size} summands for {channels} channels")
        scale, shift = np.broadcast_to(scale, channels), np.broadcast_to(shift, channels)
        return self.graph.add(Norm(name, scale, shift, np.zeros(channels), np.ones(channels), 0.0), made)

    def _arithmetic(self, name: str, kind: str, inputs: list[str]) -> int:
        values = [self.constant(source) for source in inputs[:2]]
        if values[0] is None and values[1] is None:
            if kind not in ("Add", "AddV2"):
                raise SourceError(f"{name}: {kind} of two maps")
            return self.graph.add(Sum(), *(self._value(source) for source in inputs[:2]))
        first = values[0] is not None
        constant = values[0 if first else 1].astype(np.float64)
        made = self._value(inputs[1 if first else 0])
        if kind in ("Add", "AddV2", "BiasAdd"):
            return self._affine(name, np.ones(1), constant, made)
        if kind == "Sub":
            return self._affine(name, np.full(1, -1.0 if first else 1.0), constant if first else -constant, made)
        if kind == "Mul":
            return self._affine(name, constant, np.zeros(1), made)
        if first:
            raise SourceError(f"{name}: a constant divided by a map")
        return self._affine(name, 1 / constant, np.zeros(1), made)

    def _pool(self, name: str, node: Mapping[str, Any], inputs: list[str]) -> int:
        if node["op"] == "Mean":
            axes = sorted(int(axis) % 4 for axis in self._weights_of(name, inputs[1]).reshape(-1))
            if axes != [1, 2]:
                raise SourceError(f"{name}: the mean over axes {axes}, expected rows and columns")
            return self.graph.add(Pool(name), self._value(inputs[0]))
        sizes = [int(x) for x in node.get("attr", {}).get("ksize", {}).get("list", {}).get("i", [])]
        if len(sizes) != 4:
            raise SourceError(f"{name}: an average over {sizes}")
        return self.graph.add(Pool(name, (sizes[1], sizes[2])), self._value(inputs[0]))


def _plain(source: str) -> str:
    """A node's name without the number of its output."""
    name, _, output = source.lstrip("^").partition(":")
    if output not in ("", "0"):
        raise SourceError(f"{source}: the second output of an operation")
    return name


def _text(value: Any, default: str) -> str:
    """A string attribute: base64 in JSON."""
    if value is None:
        return default
    if isinstance(value, list):  # as bytes
        return bytes(value).decode()
    try:
        return base64.b64decode(value, validate=True).decode()
    except (ValueError, UnicodeDecodeError):
        return str(value)
