"""TFLite files, read by the published schema (tensorflow/lite/schema/schema.fbs); quantised ones become floats.

Maps are [N, H, W, C], kernels [out, h, w, in], depthwise [1, h, w, C]; activations are fused into the layers.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from pathlib import Path
from typing import Any, Optional

import numpy as np

from mnv2.convert.flatbuffer import Table
from mnv2.convert.graph import INPUT, Clip, Convolution, Dense, Graph, Norm, Output, Padding, Pool, Reshape, Sum
from mnv2.convert.labels_beside import without_numbers
from mnv2.convert.read_keras import keras_source
from mnv2.convert.source import Source, SourceError

IDENTIFIER = b"TFL3"
OPERATORS = {0: "ADD", 1: "AVERAGE_POOL_2D", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE", 9: "FULLY_CONNECTED",
             14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE", 25: "SOFTMAX", 34: "PAD",
             40: "MEAN", 41: "SUB", 42: "DIV", 43: "SQUEEZE", 60: "PADV2", 82: "REDUCE_MAX", 114: "QUANTIZE"}
DTYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "u1", 7: "<i2", 9: "i1"}
UINT8, INT8 = 3, 9
ACTIVATIONS: dict[int, Optional[Clip]] = {0: None, 1: Clip(0, None), 2: Clip(-1, 1), 3: Clip(0, 6)}
FUSED_FIELD = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "FULLY_CONNECTED": 0, "ADD": 0, "MUL": 0, "SUB": 0, "DIV": 0,
               "AVERAGE_POOL_2D": 5}


def read_tflite(path: Path, data: bytes) -> Source:
    """Raises ConversionError, and what damaged bytes raise."""
    builder = _Builder(data)
    graph = builder.build()
    source = keras_source("TFLite model", path, graph, hashlib.sha256(data).hexdigest(),
                          lambda outputs, notes: _labels_inside(data, outputs, notes))
    if builder.quantised:
        source.notes.append("warning: a quantised network; its weights become floats, so it agrees with its own integer arithmetic only "
                            "approximately. Export the float one where you can")
    return source


def _labels_inside(data: bytes, outputs: int, notes: list[str]) -> Optional[list[str]]:
    """The labels of a file with metadata: a zip archive after the network."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".txt") and info.file_size < 1 << 20:
                    lines = archive.read(info).decode().splitlines()
                    labels = without_numbers([line.strip() for line in lines if line.strip()])
                    if len(labels) == outputs:
                        notes.append(f"labels of {info.filename} inside")
                        return labels
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        pass
    return None


class _Builder:
    def __init__(self, data: bytes) -> None:
        self.data = data
        model = Table.root(data)
        subgraphs = model.tables(2)
        if not subgraphs:
            raise SourceError("a TFLite file without a network")
        self.codes = [_code(table) for table in model.tables(1)]
        self.buffers = model.tables(4)
        self.network = subgraphs[0]
        self.tensors = self.network.tables(0)
        self.graph = Graph()
        self.made: dict[int, int] = {}
        self.constants: dict[int, Optional[np.ndarray]] = {}
        self.quantised = False

    def build(self) -> Graph:
        inputs, outputs = (self.network.values(field, "<i4").tolist() for field in (1, 2))
        if len(inputs) != 1 or len(outputs) != 1:
            raise SourceError(f"{len(inputs)} inputs and {len(outputs)} outputs, expected one image and the classes")
        self._image(inputs[0])
        for operator in self.network.tables(3):
            self._operator(operator)
        if outputs[0] not in self.made:
            raise SourceError("the output is that of no operation")
        self.graph.output = self.made[outputs[0]]
        return self.graph

    def _shape(self, index: int) -> list[int]:
        return [int(size) for size in self.tensors[index].values(0, "<i4")]

    def _name(self, index: int) -> str:
        return self.tensors[index].text(3) or f"tensor {index}"

    def _image(self, index: int) -> None:
        shape = self._shape(index)
        if len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2] or not 1 <= shape[1] <= 4096:
            raise SourceError(f"takes {shape}, expected square images [1, height, width, 3]")
        self.graph.side, node = shape[1], INPUT
        kind = self.tensors[index].number(1, "b")
        scale, zero, _ = self._quantisation(index)
        if kind in (UINT8, INT8) and len(scale):
            first = zero[0] + (128 if kind == INT8 else 0)  # an int8 is a byte less 128
            node = self._affine(self._name(index), np.full(3, scale[0]), np.full(3, -scale[0] * first), INPUT)
        self.made[index] = node

    def _quantisation(self, index: int) -> tuple[np.ndarray, np.ndarray, int]:
        """(scales, zero points, the dimension that they are along)."""
        table = self.tensors[index].table(4)
        if table is None:
            return np.zeros(0), np.zeros(0), 0
        scale, zero = table.values(2, "<f4").astype(np.float64), table.values(3, "<i8").astype(np.float64)
        return scale, zero if len(zero) == len(scale) else np.zeros(len(scale)), table.number(6)

    def _constant(self, index: int) -> Optional[np.ndarray]:
        """The float64 values of a tensor that is stored; None for one that is computed."""
        if index not in self.constants:
            self.constants[index] = self._read_constant(index)
        return self.constants[index]

    def _read_constant(self, index: int) -> Optional[np.ndarray]:
        tensor, shape = self.tensors[index], self._shape(index)
        buffer = self.buffers[tensor.number(2, "I")]
        raw = buffer.values(0, "u1")
        if not len(raw):
            return None
        kind = tensor.number(1, "b")
        if kind not in DTYPES:
            raise SourceError(f"{self._name(index)}: values of the kind {kind}")
        values = np.frombuffer(raw.tobytes(), DTYPES[kind])
        if min(shape, default=1) < 0 or math.prod(shape) != len(values):
            raise SourceError(f"{self._name(index)}: {len(values)} values for the shape {shape}")
        values = values.reshape(shape).astype(np.float64)
        scale, zero, dimension = self._quantisation(index)
        if kind in (UINT8, INT8, 2, 7) and len(scale):
            self.quantised = True
            along = [1] * values.ndim
            if len(scale) > 1:
                along[dimension] = len(scale)
            values = (values - zero.reshape(along)) * scale.reshape(along)
        return values

    def _operator(self, operator: Table) -> None:
        code = self.codes[operator.number(0, "I")]
        inputs, outputs = (operator.values(field, "<i4").tolist() for field in (1, 2))
        options = operator.table(4)
        kind, name = OPERATORS.get(code, f"number {code}"), self._name(outputs[0])
        if kind in ("DEQUANTIZE", "QUANTIZE") and self._constant(inputs[0]) is not None:
            self.constants[outputs[0]] = self._constant(inputs[0])  # weights that are stored as float16
            return
        handler = getattr(self, f"_{kind.lower()}", None)
        if handler is None or kind.startswith("number"):
            raise SourceError(f"{name}: an operation {kind}, which no MobileNet classifier has")
        node = handler(name, inputs, options)
        fused = 0 if options is None or kind not in FUSED_FIELD else options.number(FUSED_FIELD[kind], "b")
        if fused not in ACTIVATIONS:
            raise SourceError(f"{name}: the activation number {fused}")
        clip = ACTIVATIONS[fused]
        self.made[outputs[0]] = node if clip is None else self.graph.add(clip, node)

    def _value(self, index: int) -> int:
        if index not in self.made:
            raise SourceError(f"{self._name(index)}: a constant where an image or a map is expected")
        return self.made[index]

    def _weights(self, name: str, index: int, dimensions: int) -> np.ndarray:
        values = self._constant(index)
        if values is None or values.ndim != dimensions or 0 in values.shape:
            raise SourceError(f"{name}: no weights of {dimensions} dimensions")
        return values

    def _bias(self, name: str, inputs: list[int]) -> Optional[np.ndarray]:
        return None if len(inputs) < 3 or inputs[2] < 0 else self._weights(name, inputs[2], 1)

    # Each of these adds one kind of operator.

    def _conv_2d(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        kernel = self._weights(name, inputs[1], 4)
        stride, pads = _window(name, options, 4)
        operation = Convolution(name, kernel.transpose(0, 3, 1, 2), self._bias(name, inputs), stride, pads)
        return self.graph.add(operation, self._value(inputs[0]))

    def _depthwise_conv_2d(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        kernel = self._weights(name, inputs[1], 4)
        if kernel.shape[0] != 1 or options is not None and options.number(3) > 1:
            raise SourceError(f"{name}: a depth multiplier, expected 1")
        stride, pads = _window(name, options, 5)
        operation = Convolution(name, kernel.transpose(3, 0, 1, 2), self._bias(name, inputs), stride, pads, depthwise=True)
        return self.graph.add(operation, self._value(inputs[0]))

    def _fully_connected(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self.graph.add(Dense(name, self._weights(name, inputs[1], 2), self._bias(name, inputs)), self._value(inputs[0]))

    def _pad(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        pads = self._weights(name, inputs[1], 2).astype(int)
        if pads.shape != (4, 2) or pads[0].any() or pads[3].any() or pads.min() < 0 or pads.max() > 4:
            raise SourceError(f"{name}: pads {pads.tolist()}")
        return self.graph.add(Padding((*map(int, pads[2]), *map(int, pads[1]))), self._value(inputs[0]))

    _padv2 = _pad

    def _add(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self._arithmetic(name, inputs, lambda constant: (np.ones(1), constant))

    def _mul(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self._arithmetic(name, inputs, lambda constant: (constant, np.zeros(1)))

    def _sub(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self._arithmetic(name, inputs, lambda constant: (np.ones(1), -constant), ordered=True)

    def _div(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self._arithmetic(name, inputs, lambda constant: (1 / constant, np.zeros(1)), ordered=True)

    def _arithmetic(self, name: str, inputs: list[int], affine: Any, ordered: bool = False) -> int:
        constants = [self._constant(index) if index not in self.made else None for index in inputs[:2]]
        if constants == [None, None]:
            if ordered or affine(np.zeros(1))[0][0] != 1:
                raise SourceError(f"{name}: a product or difference of two maps")
            return self.graph.add(Sum(), *(self._value(index) for index in inputs[:2]))
        if ordered and constants[0] is not None:
            raise SourceError(f"{name}: a constant before a difference or quotient")
        constant = constants[1] if constants[1] is not None else constants[0]
        value = self._value(inputs[0] if constants[1] is not None else inputs[1])
        channels = self._shape(inputs[0] if constants[1] is not None else inputs[1])[-1]
        scale, shift = (np.broadcast_to(np.asarray(values, np.float64).reshape(-1), channels) for values in affine(constant))
        return self._affine(name, scale, shift, value)

    def _affine(self, name: str, scale: np.ndarray, shift: np.ndarray, node: int) -> int:
        return self.graph.add(Norm(name, scale, shift, np.zeros(len(scale)), np.ones(len(scale)), 0.0), node)

    def _mean(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        axes = sorted(int(axis) % 4 for axis in np.atleast_1d(self._constant(inputs[1])))
        if axes != [1, 2]:
            raise SourceError(f"{name}: the mean over axes {axes}, expected rows and columns")
        return self.graph.add(Pool(name), self._value(inputs[0]))

    def _average_pool_2d(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        if options is None:
            raise SourceError(f"{name}: an average without its window")
        return self.graph.add(Pool(name, (options.number(4), options.number(3))), self._value(inputs[0]))

    def _max_pool_2d(self, name: str, *_: Any) -> int:
        raise SourceError(f"{name}: takes the maximum over pixels, where the engine takes the average")

    _reduce_max = _max_pool_2d

    def _reshape(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self.graph.add(Reshape(name), self._value(inputs[0]))

    _squeeze = _reshape

    def _quantize(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self.graph.add(Reshape(name, flat=False), self._value(inputs[0]))

    _dequantize = _quantize

    def _relu(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self.graph.add(Clip(0, None), self._value(inputs[0]))

    def _relu6(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self.graph.add(Clip(0, 6), self._value(inputs[0]))

    def _softmax(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self.graph.add(Output("softmax"), self._value(inputs[0]))

    def _logistic(self, name: str, inputs: list[int], options: Optional[Table]) -> int:
        return self.graph.add(Output("sigmoid"), self._value(inputs[0]))


def _code(table: Table) -> int:
    """Files of before 2020 have the operator in a byte."""
    return max(table.number(0, "b"), table.number(3))


def _window(name: str, options: Optional[Table], dilation: int) -> tuple[int, Any]:
    if options is None:
        raise SourceError(f"{name}: a convolution without its stride")
    width, height = options.number(1), options.number(2)
    dilated = any(options.number(field, default=1) != 1 for field in (dilation, dilation + 1))
    if width != height or width < 1 or dilated:
        raise SourceError(f"{name}: strides {height} and {width} or dilation; expected one stride and no dilation")
    return width, None if options.number(0, "b") == 0 else (0, 0, 0, 0)
