"""A module that runs, as a Graph: for modules whose tensors have names, or an order, that tell nothing.

As in observe.py, a subclass of Tensor gets every call of torch's functions. Each becomes an operation of the Graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence

import numpy as np
import torch

from mnv2.convert.architecture import ConversionError
from mnv2.convert.graph import (INPUT, Clip, Convolution, Dense, Graph, Norm, Operation, Output, Padding, Pool, Reshape, Sum,
                                run_graph)
from mnv2.convert.observe import TOLERANCE, Subject, example_and_noise
from mnv2.convert.run_file import compare_outputs, run_model_file

PASSING = {"dropout", "dropout2d", "feature_dropout", "contiguous", "to", "float", "clone", "detach", "__getitem__"}
RESHAPING = {"flatten", "reshape", "view", "squeeze", "unsqueeze"}
ARITHMETIC = {"add": "add", "radd": "add", "iadd": "add", "sub": "sub", "isub": "sub", "subtract": "sub", "mul": "mul",
              "rmul": "mul", "imul": "mul", "multiply": "mul", "div": "div", "truediv": "div", "itruediv": "div",
              "true_divide": "div"}


def observe_graph(subject: Subject, example_input: torch.Tensor) -> Graph:
    """What `subject` does to `example_input` [N, 3, H, W]. Raises ConversionError naming what no Graph has."""
    recording = _Recording(subject, example_input)

    class Recorder(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = super().__torch_function__(function, types, args, kwargs or {})
            recording.see(function, args, kwargs or {}, given)
            return given

    image = example_input.detach().cpu().float().clone().as_subclass(Recorder)
    image.mnv2_node = INPUT
    with torch.no_grad():
        output = subject.module(image)
    if not hasattr(output, "mnv2_node"):
        raise ConversionError(f"the module gives a {type(output).__name__}, expected a tensor that comes of the image")
    recording.graph.output = output.mnv2_node
    return recording.graph


@dataclass(frozen=True)
class ModuleCheck:
    """Compares a written file with the module, and with the Graph before a softmax or sigmoid. The file's network takes
    scale * image + shift."""

    subject: Subject
    example_input: torch.Tensor
    graph: Graph
    scale: np.ndarray
    shift: np.ndarray

    def __call__(self, metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> None:
        scale, shift = (values.reshape(3, 1, 1) for values in (self.scale, self.shift))
        outputs = [operation.kind for operation in self.graph.operations if isinstance(operation, Output)]
        for images in example_and_noise(self.example_input):
            with torch.no_grad():
                given = self.subject.module(images).double().numpy().reshape(len(images), -1)
            found = run_model_file(metadata, tensors, images.double().numpy() * scale + shift)
            wrong = compare_outputs(found, run_graph(self.graph, images.numpy()), TOLERANCE)
            if not wrong and outputs:
                found = _activate(outputs[-1], found)
                if outputs[-1] == "softmax" and given.max() <= 0:  # log_softmax
                    given = np.exp(given)
            wrong = wrong or compare_outputs(found, given, TOLERANCE)
            if wrong:
                raise ConversionError(f"the converted layers give other outputs than the module: {wrong}")


def _activate(kind: str, outputs: np.ndarray) -> np.ndarray:
    if kind == "sigmoid":
        return 1 / (1 + np.exp(-np.clip(outputs, -700, 700)))
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


class _Recording:
    def __init__(self, subject: Subject, image: torch.Tensor) -> None:
        self.names = subject.names
        self.graph = Graph(side=int(image.shape[2]) if image.shape[2] == image.shape[3] else None)
        self.calls = 0

    def see(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], given: Any) -> None:
        if not isinstance(given, torch.Tensor):
            return
        name = getattr(function, "__name__", str(function)).strip("_")
        nodes = [arg.mnv2_node for arg in args if hasattr(arg, "mnv2_node")]
        if not nodes:
            return
        self.calls += 1
        operation = self._operation(name, args, kwargs, given)
        if isinstance(operation, Sum):
            given.mnv2_node = self.graph.add(operation, *nodes[:2])
        elif operation is not None:
            given.mnv2_node = self.graph.add(operation, nodes[0])
        else:
            given.mnv2_node = nodes[0]

    def _operation(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], given: torch.Tensor) -> Optional[Operation]:
        """The operation of a call; None for one that changes no value."""
        handler = getattr(self, f"_{name}", None)
        if name in PASSING:
            return None
        if name in RESHAPING:
            return Reshape(f"{name} (call {self.calls})", flat=given.ndim == 2 or given.ndim == 1)
        if name in ARITHMETIC:
            return self._arithmetic(ARITHMETIC[name], args)
        if handler is None:
            raise ConversionError(f"the module calls {name}, which no MobileNet classifier has")
        return handler(*args, **kwargs)

    def _name(self, tensor: torch.Tensor, what: str) -> str:
        return self.names.get(id(tensor), f"{what} {self.calls}").rpartition(".")[0] or f"{what} {self.calls}"

    def _conv2d(self, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
                groups: int = 1) -> Operation:
        name, strides = self._name(weight, "convolution"), _pair(stride)
        if strides[0] != strides[1] or _pair(dilation) != (1, 1):
            raise ConversionError(f"{name}: stride {strides}, dilation {_pair(dilation)}, expected one stride and no dilation")
        depthwise = groups == len(weight) and weight.shape[1] == 1 and groups > 1
        if groups != 1 and not depthwise:
            raise ConversionError(f"{name}: a convolution in {groups} groups of {len(weight)} channels")
        if padding == "same":
            padding = [(size - 1) // 2 for size in weight.shape[2:]]
        rows, columns = _pair(0 if padding == "valid" else padding)
        return Convolution(name, _array(weight), _array(bias), strides[0], (columns, columns, rows, rows), depthwise)

    def _linear(self, input: Any, weight: Any, bias: Any = None) -> Operation:
        return Dense(self._name(weight, "dense layer"), _array(weight), _array(bias))

    def _batch_norm(self, input: Any, running_mean: Any, running_var: Any = None, weight: Any = None, bias: Any = None,
                    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, *_: Any, **__: Any) -> Operation:
        name = self._name(running_mean, "BatchNorm")
        if running_mean is None or training:
            raise ConversionError(f"{name}: a BatchNorm without statistics of its own")
        mean = _array(running_mean)
        gamma = np.ones_like(mean) if weight is None else _array(weight)
        beta = np.zeros_like(mean) if bias is None else _array(bias)
        return Norm(name, gamma, beta, mean, _array(running_var), eps, sum(x.numel() for x in (weight, bias) if x is not None))

    def _relu(self, *_: Any, **__: Any) -> Operation:
        return Clip(0, None)

    def _relu6(self, *_: Any, **__: Any) -> Operation:
        return Clip(0, 6)

    def _hardtanh(self, input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Operation:
        return Clip(min_val, max_val)

    def _clamp(self, input: Any, min: Any = None, max: Any = None) -> Operation:
        if min is None:
            raise ConversionError("an activation without a lower bound")
        return Clip(float(min), None if max is None else float(max))

    _clip = _clamp_min = _clamp

    def _pad(self, input: Any, pad: Sequence[int], mode: str = "constant", value: Optional[float] = None) -> Operation:
        if mode != "constant" or value or len(pad) > 4:
            raise ConversionError(f"padding with mode {mode} and value {value}, expected zeros around rows and columns")
        left, right, top, bottom = (*pad, 0, 0, 0, 0)[:4]
        return Padding((left, right, top, bottom))

    def _adaptive_avg_pool2d(self, input: Any, output_size: Any) -> Operation:
        if _pair(output_size) != (1, 1):
            raise ConversionError(f"an average to {_pair(output_size)} pixels, expected that of the whole map")
        return Pool("adaptive_avg_pool2d")

    def _avg_pool2d(self, input: Any, kernel_size: Any, *_: Any, **__: Any) -> Operation:
        return Pool("avg_pool2d", _pair(kernel_size))

    def _mean(self, input: Any, dim: Any = None, *_: Any, **__: Any) -> Operation:
        if input.ndim != 4 or dim is None or isinstance(dim, int) or sorted(d % 4 for d in dim) != [2, 3]:
            raise ConversionError(f"the mean over {dim}, expected rows and columns")
        return Pool("mean")

    def _softmax(self, *_: Any, **__: Any) -> Operation:
        return Output("softmax")

    _log_softmax = _softmax

    def _sigmoid(self, *_: Any, **__: Any) -> Operation:
        return Output("sigmoid")

    def _arithmetic(self, kind: str, args: Sequence[Any]) -> Operation:
        first, second = args[:2]
        if hasattr(first, "mnv2_node") and hasattr(second, "mnv2_node"):
            if kind != "add":
                raise ConversionError(f"the module calls {kind} with two maps")
            return Sum()
        mine, other = (first, second) if hasattr(first, "mnv2_node") else (second, first)
        values = np.asarray(other.detach().double() if isinstance(other, torch.Tensor) else other, np.float64)
        channels = mine.shape[1]
        if mine is second and kind in ("sub", "div") or values.size not in (1, channels):
            raise ConversionError(f"the module calls {kind} with {values.size} constants for {channels} channels")
        values, ones = np.broadcast_to(values.reshape(-1), channels), np.ones(channels)
        if kind in ("add", "sub"):
            scale, shift = ones, values if kind == "add" else -values
        else:
            scale, shift = values if kind == "mul" else 1 / values, 0 * ones
        return Norm(f"{kind} {self.calls}", scale, shift, 0 * ones, ones, 0.0)


def _array(tensor: Optional[torch.Tensor]) -> Any:
    return None if tensor is None else tensor.detach().as_subclass(torch.Tensor).double().numpy()


def _pair(value: Any) -> tuple[int, int]:
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return (int(numbers[0]), int(numbers[-1]))
