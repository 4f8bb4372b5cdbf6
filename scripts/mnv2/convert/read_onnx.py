"""ONNX files (https://onnx.ai/onnx/operators), by protobuf.py alone.

Maps are [N, C, H, W] as here. Values that depend on constants alone are computed where a MobileNet's export needs it: pads and
shapes come through Constant, Identity, Concat, Slice and the like.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any, Optional, Sequence

import numpy as np

from mnv2.convert.architecture import Preprocessing
from mnv2.convert.graph import INPUT, Clip, Convolution, Dense, Graph, Norm, Output, Padding, Pool, Reshape, Sum
from mnv2.convert.labels_beside import labels_beside
from mnv2.convert.protobuf import Message
from mnv2.convert.read_keras import tensorflow_images
from mnv2.convert.source import Source, SourceError, fold_input, recognise_graph

DTYPES = {1: "<f4", 2: "u1", 3: "i1", 5: "<i2", 6: "<i4", 7: "<i8", 9: "u1", 10: "<f2", 11: "<f8"}
DEFAULT_SIDE = 224
MAX_FOLDED = 1 << 24  # constants that one operation is computed of
PASSING = ("Identity", "Dropout", "Cast")
RESHAPING = ("Flatten", "Squeeze", "Reshape", "Unsqueeze")


def looks_like_onnx(data: bytes) -> bool:
    """A ModelProto begins with its ir_version, field 1, and has a graph, field 7."""
    if data[:1] != b"\x08":
        return False
    try:
        return Message(data).has(7)
    except ValueError:
        return b"onnx" in data[:200] or b"pytorch" in data[:200]


def read_onnx(path: Path, data: bytes) -> Source:
    """Raises ConversionError, and what damaged bytes raise."""
    builder = _Builder(Message(data).message(7))
    graph = builder.build()
    network, chain = recognise_graph(graph)
    side = graph.side or DEFAULT_SIDE
    if network.architecture.padding == "same":
        base, said = tensorflow_images(side, False)
    else:
        base = Preprocessing(resize=side * 8 // 7, crop=side)
        said = "images as torchvision's MobileNets take them: the short side to 8/7 of the crop, ImageNet's mean and std"
    bytes_first = bool(chain.input_norms) and float(np.max(np.abs(chain.input_norms[0].gamma))) < 0.05
    preprocessing, scale, shift, inside = fold_input(chain, base, 255.0 if bytes_first else 1.0)
    notes = [f"{said} (--resize-form, --mean, --std)"]
    if inside:
        notes.append("mean and std are those of the network's own normalisation")
    if graph.side is None:
        notes.append(f"the network takes images of any size; {side} pixels are assumed (--crop)")
    labels = labels_beside(path.parent, network.architecture, network.output_activation, notes)
    return Source("ONNX model", network, graph, preprocessing, labels, notes, hashlib.sha256(data).hexdigest(), scale, shift)


def tensor_values(tensor: Message) -> np.ndarray:
    """The values of a TensorProto."""
    name, kind = tensor.text(8), tensor.integer(2)
    if tensor.integer(14) == 1 or tensor.has(13):
        raise SourceError(f"{name}: its values are in another file; save the model with them inside")
    if kind not in DTYPES:
        raise SourceError(f"{name}: values of the kind {kind}")
    shape = tensor.integers(1)
    if tensor.has(9):
        values = np.frombuffer(tensor.bytes(9), DTYPES[kind])
    elif kind == 1:
        values = tensor.reals(4, "<f4")
    elif kind == 11:
        values = tensor.reals(10, "<f8")
    elif kind == 10:
        values = np.array(tensor.integers(5), "<u2").view("<f2")
    else:
        values = np.array(tensor.integers(7 if kind == 7 else 5), DTYPES[kind])
    if min(shape, default=1) < 0 or math.prod(shape) != len(values):
        raise SourceError(f"{name}: {len(values)} values for the shape {shape}")
    return values.reshape(shape)


class _Node:
    def __init__(self, message: Message) -> None:
        self.inputs, self.outputs = message.texts(1), message.texts(2)
        self.kind = message.text(4)
        self.name = message.text(3) or (self.outputs[0] if self.outputs else self.kind)
        self._attributes = {attribute.text(1): attribute for attribute in message.messages(5)}

    def integer(self, key: str, default: int) -> int:
        return self._attributes[key].integer(3) if key in self._attributes else default

    def integers(self, key: str, default: Sequence[int]) -> list[int]:
        return self._attributes[key].integers(8) if key in self._attributes else list(default)

    def real(self, key: str, default: float) -> float:
        return self._attributes[key].real(2) if key in self._attributes else default

    def text(self, key: str, default: str) -> str:
        return self._attributes[key].text(4) if key in self._attributes else default

    def tensor(self, key: str) -> Optional[Message]:
        return self._attributes[key].message(5) if key in self._attributes else None

    def has(self, key: str) -> bool:
        return key in self._attributes


class _Builder:
    def __init__(self, network: Message) -> None:
        self.network = network
        self.constants: dict[str, np.ndarray] = {}
        for tensor in network.messages(5):
            self.constants[tensor.text(8)] = tensor_values(tensor)
        self.graph = Graph()
        self.made: dict[str, int] = {}
        self.transposed: set[str] = set()  # images [N, H, W, C], which a Transpose follows

    def build(self) -> Graph:
        images = [value for value in self.network.messages(11) if value.text(1) not in self.constants]
        outputs = [value.text(1) for value in self.network.messages(12)]
        if len(images) != 1 or len(outputs) != 1:
            raise SourceError(f"{len(images)} inputs and {len(outputs)} outputs, expected one image and the classes")
        self._image(images[0])
        for message in self.network.messages(1):
            self._node(_Node(message))
        if outputs[0] not in self.made:
            raise SourceError(f"the output {outputs[0]} is that of no operation")
        self.graph.output = self.made[outputs[0]]
        return self.graph

    def _image(self, value: Message) -> None:
        name = value.text(1)
        dimensions = [d.integer(1) if d.has(1) else 0 for d in value.message(2).message(1).message(2).messages(1)]
        if len(dimensions) == 4 and dimensions[1] != 3 and dimensions[3] == 3:
            self.transposed.add(name)
            dimensions = [dimensions[0], 3, dimensions[1], dimensions[2]]
        square = len(dimensions) == 4 and dimensions[2] == dimensions[3] and dimensions[2] <= 4096
        if dimensions and not (square and dimensions[1] in (0, 3)):
            raise SourceError(f"takes {dimensions}, expected square images [batch, 3, height, width]")
        self.graph.side = dimensions[2] if dimensions and dimensions[2] > 0 else None
        self.made[name] = INPUT

    def _node(self, node: _Node) -> None:
        if not node.outputs:
            raise SourceError(f"{node.name}: an operation without an output")
        folded = self._fold(node)
        if folded is not None:
            self.constants[node.outputs[0]] = folded
            return
        handler = HANDLERS.get(node.kind)
        if node.kind in PASSING:
            self.made[node.outputs[0]] = self.graph.add(Reshape(node.name, flat=False), self._value(node, 0))
        elif node.kind in RESHAPING:
            self.made[node.outputs[0]] = self.graph.add(Reshape(node.name), self._value(node, 0))
        elif node.kind == "Shape":
            self.constants[node.outputs[0]] = np.array([1, -1, -1, -1], np.int64)  # only what a Reshape is given
        elif handler is None:
            raise SourceError(f"{node.name}: an operation {node.kind}, which no MobileNet classifier has")
        else:
            self.made[node.outputs[0]] = handler(self, node)
            if node.kind in ("Add", "Sub", "Mul", "Div") and self.transposed.intersection(node.inputs):
                self.transposed.add(node.outputs[0])

    def _fold(self, node: _Node) -> Optional[np.ndarray]:
        """The values of a node that depends on constants alone; None for others."""
        if node.kind == "Constant":
            tensor = node.tensor("value")
            if tensor is not None:
                return tensor_values(tensor)
            if node.has("value_int") or node.has("value_float"):
                return np.array(node.integer("value_int", 0) if node.has("value_int") else node.real("value_float", 0))
            return np.array(node.integers("value_ints", []), np.int64)
        values = [self.constants.get(name) for name in node.inputs if name]
        if not values or any(value is None for value in values):
            return None
        first = values[0]
        if node.kind in ("Identity", "Cast"):
            return first
        if sum(value.size for value in values) > MAX_FOLDED:
            raise SourceError(f"{node.name}: a {node.kind} of {sum(value.size for value in values)} constants")
        if node.kind == "ConstantOfShape":
            tensor = node.tensor("value")
            shape = [int(size) for size in first.reshape(-1)]
            if not 0 <= math.prod(shape) <= 64:
                raise SourceError(f"{node.name}: a constant of the shape {shape}")
            return np.full(shape, 0 if tensor is None else tensor_values(tensor).reshape(-1)[0])
        if node.kind == "Concat":
            return np.concatenate([np.atleast_1d(value) for value in values], node.integer("axis", 0))
        if node.kind == "Transpose":
            return first.transpose(node.integers("perm", range(first.ndim)[::-1]))
        if node.kind == "Unsqueeze":
            axes = values[1].reshape(-1).tolist() if len(values) > 1 else node.integers("axes", [0])
            return np.expand_dims(first, tuple(axes))
        if node.kind == "Squeeze":
            return first.reshape(-1) if first.size > 1 else first.reshape(())
        if node.kind == "Gather":
            return np.take(first, values[1].astype(int), node.integer("axis", 0))
        if node.kind == "Reshape":
            return first.reshape([int(size) for size in values[1]])
        if node.kind == "Slice":
            return _slice(node, values)
        if node.kind in ("Add", "Sub", "Mul", "Div", "Sqrt", "Neg"):
            operations: dict[str, Any] = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide,
                                          "Sqrt": np.sqrt, "Neg": np.negative}
            if node.kind == "Div" and first.dtype.kind in "iu":
                return first // values[1]
            if math.prod(np.broadcast_shapes(*(value.shape for value in values))) > max(value.size for value in values):
                raise SourceError(f"{node.name}: constants of the shapes {[list(value.shape) for value in values]}")
            return operations[node.kind](*values)
        return None

    def _value(self, node: _Node, index: int) -> int:
        if index >= len(node.inputs) or node.inputs[index] not in self.made:
            what = node.inputs[index] if index < len(node.inputs) else "nothing"
            raise SourceError(f"{node.name}: {what} where an image or a map is expected")
        return self.made[node.inputs[index]]

    def _weights(self, node: _Node, index: int, dimensions: int) -> np.ndarray:
        values = self.constants.get(node.inputs[index]) if index < len(node.inputs) else None
        if values is None or values.ndim != dimensions or 0 in values.shape:
            raise SourceError(f"{node.name}: no weights of {dimensions} dimensions")
        return values.astype(np.float64)

    def _optional(self, node: _Node, index: int) -> Optional[np.ndarray]:
        return self.constants.get(node.inputs[index]) if index < len(node.inputs) and node.inputs[index] else None

    def _conv(self, node: _Node) -> int:
        weight = self._weights(node, 1, 4)
        groups, strides = node.integer("group", 1), node.integers("strides", (1, 1))
        if len(strides) != 2 or strides[0] != strides[1] or strides[0] < 1 or set(node.integers("dilations", (1, 1))) != {1}:
            raise SourceError(f"{node.name}: strides {strides}, dilations {node.integers('dilations', (1, 1))}; expected one stride "
                              "and no dilation")
        depthwise = groups == len(weight) and weight.shape[1] == 1 and groups > 1
        if groups != 1 and not depthwise:
            raise SourceError(f"{node.name}: a convolution in {groups} groups of {len(weight)} channels")
        bias = self._weights(node, 2, 1) if self._optional(node, 2) is not None else None
        automatic = node.text("auto_pad", "NOTSET")
        pads: Any = None
        if automatic in ("NOTSET", "VALID"):
            given = node.integers("pads", (0, 0, 0, 0)) if automatic == "NOTSET" else [0, 0, 0, 0]
            if len(given) != 4 or not all(0 <= pad <= 8 for pad in given):
                raise SourceError(f"{node.name}: pads {given}")
            pads = (given[1], given[3], given[0], given[2])
        elif automatic != "SAME_UPPER":
            raise SourceError(f"{node.name}: padding {automatic}, expected zeros at the end first (SAME_UPPER)")
        return self.graph.add(Convolution(node.name, weight, bias, strides[0], pads, depthwise), self._value(node, 0))

    def _norm(self, node: _Node) -> int:
        gamma, beta, mean, variance = (self._weights(node, index, 1) for index in range(1, 5))
        norm = Norm(node.name, gamma, beta, mean, variance, float(np.float32(node.real("epsilon", 1e-5))), 2 * gamma.size)
        return self.graph.add(norm, self._value(node, 0))

    def _relu(self, node: _Node) -> int:
        return self.graph.add(Clip(0, None), self._value(node, 0))

    def _clip(self, node: _Node) -> int:
        low, high = (self._optional(node, index) for index in (1, 2))
        bottom = float(low.reshape(-1)[0]) if low is not None else node.real("min", -math.inf)
        top = float(high.reshape(-1)[0]) if high is not None else node.real("max", math.inf)
        if not math.isfinite(bottom) or bottom < -3e38:
            raise SourceError(f"{node.name}: an activation without a lower bound")
        return self.graph.add(Clip(bottom, top if math.isfinite(top) and top < 3e38 else None), self._value(node, 0))

    def _arithmetic(self, node: _Node) -> int:
        constants = [self.constants.get(name) if name not in self.made else None for name in node.inputs[:2]]
        if constants[0] is None and constants[1] is None:
            if node.kind != "Add":
                raise SourceError(f"{node.name}: a {node.kind} of two maps")
            return self.graph.add(Sum(), self._value(node, 0), self._value(node, 1))
        first = constants[0] is not None
        if first and node.kind in ("Sub", "Div"):
            raise SourceError(f"{node.name}: a {node.kind} of a constant by a map")
        constant = np.asarray(constants[0] if first else constants[1], np.float64)
        made = self._value(node, 1 if first else 0)
        return self._affine(node, constant, made)

    def _affine(self, node: _Node, constant: np.ndarray, made: int) -> int:
        rows_first = not self.transposed.intersection(node.inputs)
        if constant.size > 1 and constant.ndim >= 3 and constant.size != constant.shape[-3] and rows_first:
            raise SourceError(f"{node.name}: a constant of the shape {list(constant.shape)}, expected one value for each channel")
        values = constant.reshape(-1)
        channels = _channels(self.graph, made)
        if values.size not in (1, channels):
            raise SourceError(f"{node.name}: {values.size} constants for {channels} channels")
        values, ones = np.broadcast_to(values, channels), np.ones(channels)
        if node.kind in ("Add", "Sub"):
            scale, shift = ones, values if node.kind == "Add" else -values
        else:
            scale, shift = values if node.kind == "Mul" else 1 / values, 0 * ones
        return self.graph.add(Norm(node.name, scale, shift, 0 * ones, ones, 0.0), made)

    def _pool(self, node: _Node) -> int:
        if node.kind == "GlobalAveragePool":
            return self.graph.add(Pool(node.name), self._value(node, 0))
        if node.kind == "ReduceMean":
            axes = self._optional(node, 1)
            found = sorted(int(axis) % 4 for axis in (node.integers("axes", ()) if axes is None else axes.reshape(-1)))
            if found != [2, 3]:
                raise SourceError(f"{node.name}: the mean over axes {found}, expected rows and columns")
            return self.graph.add(Pool(node.name), self._value(node, 0))
        kernel = node.integers("kernel_shape", ())
        if len(kernel) != 2 or any(node.integers("pads", (0, 0, 0, 0))):
            raise SourceError(f"{node.name}: an average over {kernel}, padded")
        return self.graph.add(Pool(node.name, (kernel[0], kernel[1])), self._value(node, 0))

    def _maximum(self, node: _Node) -> int:
        raise SourceError(f"{node.name}: takes the maximum over pixels, where the engine takes the average")

    def _gemm(self, node: _Node) -> int:
        weight = self._weights(node, 1, 2)
        if node.integer("transA", 0) or node.real("alpha", 1.0) != 1.0 or node.real("beta", 1.0) != 1.0:
            raise SourceError(f"{node.name}: a product with transA, alpha or beta")
        bias = None if self._optional(node, 2) is None else np.asarray(self._optional(node, 2), np.float64).reshape(-1)
        weight = weight if node.integer("transB", 0) else weight.T
        if bias is not None and bias.size != len(weight):
            bias = np.broadcast_to(bias, len(weight))
        return self.graph.add(Dense(node.name, weight, bias), self._value(node, 0))

    def _matmul(self, node: _Node) -> int:
        return self.graph.add(Dense(node.name, self._weights(node, 1, 2).T, None), self._value(node, 0))

    def _pad(self, node: _Node) -> int:
        given = self._optional(node, 1)
        pads = node.integers("pads", ()) if given is None else [int(pad) for pad in given.reshape(-1)]
        value = self._optional(node, 2)
        filled = node.real("value", 0.0) if value is None else float(value.reshape(-1)[0]) if value.size else 0.0
        if len(pads) != 8 or any(pads[:2] + pads[4:6]) or filled or node.text("mode", "constant") != "constant" or not all(
                0 <= pad <= 8 for pad in pads):
            raise SourceError(f"{node.name}: pads {pads or 'that are computed'}, expected zeros around rows and columns")
        return self.graph.add(Padding((pads[3], pads[7], pads[2], pads[6])), self._value(node, 0))

    def _output(self, node: _Node) -> int:
        return self.graph.add(Output("sigmoid" if node.kind == "Sigmoid" else "softmax"), self._value(node, 0))

    def _transpose(self, node: _Node) -> int:
        """Of an image [N, H, W, C] to [N, C, H, W]; of pooled features it changes nothing."""
        if node.inputs[0] in self.transposed and node.integers("perm", ()) == [0, 3, 1, 2]:
            return self.graph.add(Reshape(node.name, flat=False), self._value(node, 0))
        raise SourceError(f"{node.name}: transposes a map by {node.integers('perm', ())}")


HANDLERS: dict[str, Any] = {
    "Conv": _Builder._conv, "BatchNormalization": _Builder._norm, "Relu": _Builder._relu, "Clip": _Builder._clip,
    "Add": _Builder._arithmetic, "Sub": _Builder._arithmetic, "Mul": _Builder._arithmetic, "Div": _Builder._arithmetic,
    "GlobalAveragePool": _Builder._pool, "ReduceMean": _Builder._pool, "AveragePool": _Builder._pool, "Gemm": _Builder._gemm,
    "MatMul": _Builder._matmul, "Pad": _Builder._pad, "Softmax": _Builder._output, "LogSoftmax": _Builder._output,
    "Sigmoid": _Builder._output, "Transpose": _Builder._transpose, "MaxPool": _Builder._maximum,
    "GlobalMaxPool": _Builder._maximum, "ReduceMax": _Builder._maximum}


def _channels(graph: Graph, node: int) -> int:
    while node != INPUT:
        operation = graph.operations[node - 1]
        if isinstance(operation, (Convolution, Dense)):
            return operation.weight.shape[0]
        node = graph.inputs[node - 1][0]
    return 3


def _slice(node: _Node, values: list[np.ndarray]) -> np.ndarray:
    first = values[0]
    if len(values) < 3:
        starts, ends, axes = node.integers("starts", ()), node.integers("ends", ()), node.integers("axes", ())
        steps: list[int] = []
    else:
        starts, ends = (value.reshape(-1).tolist() for value in values[1:3])
        axes, steps = (values[i].reshape(-1).tolist() if len(values) > i else [] for i in (3, 4))
    cuts = [slice(None)] * first.ndim
    for i, (start, end) in enumerate(zip(starts, ends)):
        step = steps[i] if i < len(steps) else 1
        # An end before the beginning is written as the most negative number.
        cuts[axes[i] if i < len(axes) else i] = slice(start, None if end <= -(1 << 31) else end, step)
    return first[tuple(cuts)]
