"""Writes random networks as TFLite files, by the published schema, with Debian's flatbuffers."""

from __future__ import annotations

from typing import Any, Optional

from support.any_network import AnyNetwork, Step
from support.converter import np

CODES = {"ADD": 0, "AVERAGE_POOL_2D": 1, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "DEQUANTIZE": 6, "FULLY_CONNECTED": 9, "LOGISTIC": 14,
         "RESHAPE": 22, "SOFTMAX": 25, "PAD": 34, "MEAN": 40}
KINDS = {np.dtype("f4"): 0, np.dtype("f2"): 1, np.dtype("i4"): 2, np.dtype("u1"): 3, np.dtype("i1"): 9}
OPTIONS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 2, "AVERAGE_POOL_2D": 5, "FULLY_CONNECTED": 8, "SOFTMAX": 9, "ADD": 11, "RESHAPE": 17,
           "PAD": 22, "MEAN": 27}


class TfliteWriter:
    """`weights`: "float32", "float16" (with DEQUANTIZE) or "int8" (per channel; a uint8 image). BatchNorm is folded, as
    TensorFlow's converter does."""

    def __init__(self, network: AnyNetwork, weights: str = "float32", window: bool = False) -> None:
        self.network, self.weights, self.window = network, weights, window
        self.tensors: list[dict[str, Any]] = []
        self.operators: list[dict[str, Any]] = []
        self.size = network.side

    def tensor(self, name: str, shape: list[int], values: Optional[np.ndarray] = None, scale: Any = None, zero: Any = None,
               dimension: int = 0, kind: int = 0) -> int:
        self.tensors.append({"name": name, "shape": shape, "values": values, "scale": scale, "zero": zero, "dimension": dimension,
                             "kind": kind if values is None else KINDS[values.dtype]})
        return len(self.tensors) - 1

    def constant(self, name: str, values: np.ndarray, channels: Optional[int] = None, scale: Any = None) -> int:
        """`channels`: the dimension along which int8 weights have a scale each; `scale`: that of an int32 bias."""
        if self.weights == "int8" and channels is not None:
            others = tuple(i for i in range(values.ndim) if i != channels)
            step = np.maximum(np.abs(values).max(others), 1e-6) / 127
            along = [-1 if i == channels else 1 for i in range(values.ndim)]
            quantised = np.clip(np.round(values / step.reshape(along)), -127, 127).astype(np.int8)
            self.rounded = quantised * step.astype(np.float32).astype(np.float64).reshape(along)
            return self.tensor(name, list(values.shape), quantised, step, np.zeros(len(step)), channels)
        if self.weights == "int8" and scale is not None:
            step = np.full(len(values), scale)
            return self.tensor(name, list(values.shape), np.round(values / step).astype(np.int32), step, np.zeros(len(step)))
        if self.weights == "float16" and channels is not None:
            half = self.tensor(f"{name}_half", list(values.shape), values.astype(np.float16))
            result = self.tensor(name, list(values.shape))
            self.operator("DEQUANTIZE", [half], result)
            return result
        return self.tensor(name, list(values.shape), values.astype(np.float32) if values.dtype.kind == "f" else values)

    def operator(self, code: str, inputs: list[int], output: int, **options: int) -> int:
        self.operators.append({"code": code, "inputs": inputs, "output": output, "options": options})
        return output

    def write(self) -> bytes:
        """The file; the network's own steps are changed to the weights as they are rounded in it."""
        side = self.network.side
        current = self.tensor("input", [1, side, side, 3], kind=3 if self.weights == "int8" else 0,
                              scale=[1 / 127.5] if self.weights == "int8" else None, zero=[127] if self.weights == "int8" else None)
        first, after, steps, position = current, [], self.network.steps, 0
        while position < len(steps):
            step, taken = steps[position], 1
            activation = {None: 1, 6.0: 3}
            follows = lambda k: steps[position + k] if position + k < len(steps) else Step("end")  # noqa: E731
            if step.kind == "conv":
                norm = follows(1) if follows(1).kind == "norm" else None
                relu = follows(2 if norm else 1)
                current = self._convolution(step, norm, current, activation[relu.highest] if relu.kind == "relu" else 0)
                taken += (norm is not None) + (relu.kind == "relu")
            elif step.kind == "dense":
                relu = follows(1)
                weight = self.constant(f"{step.name}/w", step.weight, 0)
                if self.weights == "int8":
                    step.weight = self.rounded
                bias = -1 if step.bias is None else self.constant(f"{step.name}/b", step.bias, scale=1e-5)
                current = self.operator("FULLY_CONNECTED", [current, weight, bias], self.tensor(step.name, [1, len(step.weight)]),
                                        activation=activation[relu.highest] if relu.kind == "relu" else 0)
                taken += relu.kind == "relu"
            elif step.kind == "add":
                current = self.operator("ADD", [after[step.source], current], self.tensor(step.name, self.tensors[current]["shape"]))
            elif step.kind == "pool":
                current = self._pool(current)
            else:
                current = self.operator({"softmax": "SOFTMAX", "sigmoid": "LOGISTIC"}[step.kind], [current],
                                        self.tensor(step.name, self.tensors[current]["shape"]))
            after += [current] * taken
            position += taken
        return self._build(first, current)

    def _convolution(self, step: Step, norm: Optional[Step], current: int, activation: int) -> int:
        weight, bias = step.weight.astype(np.float64), step.bias
        if norm is not None:
            scale = norm.norm["gamma"] / np.sqrt(norm.norm["variance"].astype(np.float64) + norm.eps)
            weight = weight * scale.reshape(-1, 1, 1, 1)
            bias = norm.norm["beta"] + ((0 if bias is None else bias) - norm.norm["mean"]) * scale
        kernel = weight.transpose(1, 2, 3, 0) if step.depthwise else weight.transpose(0, 2, 3, 1)
        channels = 3 if step.depthwise else 0
        filters = self.constant(f"{step.name}/w", kernel, channels)
        if self.weights == "int8":  # what PyTorch shall run: the rounded weights, with the BatchNorm in them
            step.weight = self.rounded.transpose(3, 0, 1, 2) if step.depthwise else self.rounded.transpose(0, 3, 1, 2)
            step.bias = np.round(bias / 1e-5) * np.float64(np.float32(1e-5))
            if norm is not None:
                ones = np.ones(len(weight))
                norm.norm, norm.eps = {"gamma": ones, "beta": 0 * ones, "mean": 0 * ones, "variance": ones}, 0.0
        inputs = [current, filters, self.constant(f"{step.name}/b", np.asarray(bias), scale=1e-5)]
        padding = 0
        if weight.shape[2] > 1 and not self.network.same:
            shape = list(self.tensors[current]["shape"])
            pads = self.tensor(f"{step.name}/pads", [4, 2], np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
            shape[1:3] = [shape[1] + 2, shape[2] + 2]
            inputs[0] = self.operator("PAD", [current, pads], self.tensor(f"{step.name}/padded", shape))
            padding = 1
        self.size = -(-self.size // step.stride)
        output = self.tensor(step.name, [1, self.size, self.size, len(weight)])
        code = "DEPTHWISE_CONV_2D" if step.depthwise else "CONV_2D"
        return self.operator(code, inputs, output, padding=padding, stride=step.stride, activation=activation)

    def _pool(self, current: int) -> int:
        channels = self.tensors[current]["shape"][3]
        if not self.window:
            axes = self.tensor("axes", [2], np.array([1, 2], np.int32))
            return self.operator("MEAN", [current, axes], self.tensor("mean", [1, channels]))
        pooled = self.operator("AVERAGE_POOL_2D", [current], self.tensor("pooled", [1, 1, 1, channels]), window=self.size)
        return self.operator("RESHAPE", [pooled], self.tensor("flat", [1, channels]))

    # The file, from its end to its beginning, as FlatBuffers are written.

    def _build(self, first: int, last: int) -> bytes:
        import flatbuffers

        self.builder = builder = flatbuffers.Builder(1 << 20)
        buffers = [self._table(lambda: None)]
        tensors = []
        for tensor in self.tensors:
            number = 0
            if tensor["values"] is not None:
                raw = builder.CreateByteVector(np.ascontiguousarray(tensor["values"]).tobytes())
                buffers.append(self._table(lambda: builder.PrependUOffsetTRelativeSlot(0, raw, 0)))
                number = len(buffers) - 1
            tensors.append(self._tensor(tensor, number))
        codes = sorted({operator["code"] for operator in self.operators})
        operators = [self._operator(operator, codes) for operator in self.operators]
        code_tables = [self._table(lambda code=code: (builder.PrependInt8Slot(0, CODES[code], 0),
                                                      builder.PrependInt32Slot(3, CODES[code], 0))) for code in codes]
        tensor_vector, operator_vector = self._offsets(tensors), self._offsets(operators)
        inputs, outputs = self._ints([first]), self._ints([last])
        network = self._table(lambda: [builder.PrependUOffsetTRelativeSlot(i, value, 0) for i, value in enumerate(
            (tensor_vector, inputs, outputs, operator_vector))])
        parts = [self._offsets(code_tables), self._offsets([network]), builder.CreateString("test"), self._offsets(buffers)]
        model = self._table(lambda: (builder.PrependUint32Slot(0, 3, 0),
                                     [builder.PrependUOffsetTRelativeSlot(i, value, 0) for i, value in enumerate(parts, 1)]))
        builder.Finish(model, b"TFL3")
        return bytes(builder.Output())

    def _table(self, fill: Any, fields: int = 8) -> int:
        self.builder.StartObject(fields)
        fill()
        return self.builder.EndObject()

    def _offsets(self, values: list[int]) -> int:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependUOffsetTRelative(value)
        return self.builder.EndVector()

    def _ints(self, values: list[int]) -> int:
        return self.builder.CreateNumpyVector(np.array(values, np.int32))

    def _tensor(self, tensor: dict[str, Any], number: int) -> int:
        builder, quantisation = self.builder, 0
        if tensor["scale"] is not None:
            scale = builder.CreateNumpyVector(np.asarray(tensor["scale"], np.float32))
            zero = builder.CreateNumpyVector(np.asarray(tensor["zero"], np.int64))
            quantisation = self._table(lambda: (builder.PrependUOffsetTRelativeSlot(2, scale, 0), builder.PrependUOffsetTRelativeSlot(
                3, zero, 0), builder.PrependInt32Slot(6, tensor["dimension"], 0)))
        name, shape = builder.CreateString(tensor["name"]), self._ints(tensor["shape"])
        return self._table(lambda: (builder.PrependUOffsetTRelativeSlot(0, shape, 0), builder.PrependInt8Slot(1, tensor["kind"], 0),
                                    builder.PrependUint32Slot(2, number, 0), builder.PrependUOffsetTRelativeSlot(3, name, 0),
                                    builder.PrependUOffsetTRelativeSlot(4, quantisation, 0)))

    def _operator(self, operator: dict[str, Any], codes: list[str]) -> int:
        builder, code, given = self.builder, operator["code"], operator["options"]
        stride, activation = given.get("stride", 1), given.get("activation", 0)
        fill: dict[str, Any] = {
            "CONV_2D": lambda: (builder.PrependInt8Slot(0, given["padding"], 0), builder.PrependInt32Slot(1, stride, 0),
                                builder.PrependInt32Slot(2, stride, 0), builder.PrependInt8Slot(3, activation, 0)),
            "DEPTHWISE_CONV_2D": lambda: (builder.PrependInt8Slot(0, given["padding"], 0), builder.PrependInt32Slot(1, stride, 0),
                                          builder.PrependInt32Slot(2, stride, 0), builder.PrependInt32Slot(3, 1, 0),
                                          builder.PrependInt8Slot(4, activation, 0)),
            "FULLY_CONNECTED": lambda: builder.PrependInt8Slot(0, activation, 0),
            "AVERAGE_POOL_2D": lambda: (builder.PrependInt8Slot(0, 1, 0), builder.PrependInt32Slot(3, given["window"], 0),
                                        builder.PrependInt32Slot(4, given["window"], 0))}
        options = self._table(fill.get(code, lambda: None))
        inputs, outputs = self._ints(operator["inputs"]), self._ints([operator["output"]])
        return self._table(lambda: (builder.PrependUint32Slot(0, codes.index(code), 0), builder.PrependUOffsetTRelativeSlot(1, inputs, 0),
                                    builder.PrependUOffsetTRelativeSlot(2, outputs, 0), builder.PrependUint8Slot(3, OPTIONS.get(code, 0), 0),
                                    builder.PrependUOffsetTRelativeSlot(4, options, 0)))
