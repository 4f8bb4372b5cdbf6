"""Watches a module run, to learn what its state_dict does not hold: strides, padding, activations, residuals, eps.

Every function of torch that the input or what comes of it passes through is seen (a subclass of Tensor gets the calls), so
it does not matter whether an activation or padding is a module of its own or a call in forward().
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Optional, Sequence

import numpy as np
import torch

from mnv2.convert.architecture import SIGMOID, SOFTMAX, Architecture, Block, Clamp, ConversionError, Layer
from mnv2.convert.checkpoint import check_dtype, without_wrappers
from mnv2.convert.layouts import Recognised
from mnv2.convert.run_file import compare_outputs, run_model_file

TOLERANCE = 1e-4  # of the largest |output|
# What changes no value, or only collects the values of a map: the layer before it stays the same.
PASSING = {"adaptive_avg_pool2d", "avg_pool2d", "mean", "flatten", "reshape", "view", "squeeze", "__getitem__", "dropout",
           "dropout2d", "feature_dropout", "contiguous", "to", "float", "clone", "detach"}
ADDING = {"add", "add_", "__add__", "__radd__", "__iadd__"}


@dataclass
class Call:
    """One convolution or linear layer as it ran; sizes (height, width), pads (left, right, top, bottom)."""

    name: str  # of the module, as in the state_dict
    order: int
    input_size: tuple[int, ...] = ()
    stride: int = 1
    pads: tuple[int, ...] = ()
    clamp: Clamp = None
    residual: bool = False
    bn: Optional[str] = None
    eps: float = 0.0


@dataclass
class Result:
    """Where a tensor comes from: the last layer, None before the first; and what else was done to it, if anything."""

    call: Optional[Call] = None
    other: str = ""
    pads: tuple[int, ...] = (0, 0, 0, 0)  # put around what the layer gave
    before_output: Optional[torch.Tensor] = None  # what a softmax or sigmoid was given
    output_activation: Optional[str] = None


class Recording:
    """The calls that a module makes. `names` has the name in the state_dict of every parameter and buffer, by id."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names
        self.calls: dict[str, Call] = {}
        self.output_activation: Optional[str] = None  # at the end of the module

    def run(self, module: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        """What `module` gives for `images` [N, 3, H, W] before a softmax: [N, outputs], a map averaged over its pixels."""
        recording = self

        class Recorder(torch.Tensor):
            @classmethod
            def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                given = super().__torch_function__(function, types, args, kwargs or {})
                recording._see(function, args, kwargs or {}, given)
                return given

        recorder = images.clone().as_subclass(Recorder)
        recorder.mnv2_result = Result()
        with torch.no_grad():
            output = module(recorder)
        result = getattr(output, "mnv2_result", Result())
        self.output_activation = result.output_activation
        if isinstance(output, torch.Tensor) and output.shape == (len(images),):
            output = output[:, None]  # one number for each image
        if not isinstance(output, torch.Tensor) or output.ndim not in (2, 4):
            shape = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise ConversionError(f"the module gives {shape}, expected a tensor [N, outputs] or [N, outputs, h, w]")
        before = result.before_output
        plain = (output if before is None else before).as_subclass(torch.Tensor)
        plain = plain[:, None] if plain.ndim == 1 else plain
        return plain if plain.ndim == 2 else plain.mean((2, 3))

    def _see(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], given: Any) -> None:
        """Notes that `function` gave `given`."""
        if not isinstance(given, torch.Tensor):
            return
        name = getattr(function, "__name__", str(function))
        sources = [arg.mnv2_result for arg in args if hasattr(arg, "mnv2_result")]
        handler = getattr(self, f"_see_{name.rstrip('_')}", None)
        if not sources:
            result = Result(other=name)
        elif handler is not None:
            result = handler(sources[0], *args, **kwargs)
        elif name in PASSING:
            result = sources[0]
        elif name in ADDING and len(sources) == 2 and all(source.call is not None for source in sources):
            last = max((source.call for source in sources), key=lambda call: call.order)
            last.residual = True
            result = Result(last, other="a sum")
        else:
            result = Result(other=name)
        given.mnv2_result = result

    def _see_conv2d(self, source: Result, input: torch.Tensor, weight: torch.Tensor, bias: Optional[torch.Tensor] = None,
                    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Result:
        call = self._layer(source, weight)
        strides, dilations = _pair(stride), _pair(dilation)
        if strides[0] != strides[1] or dilations != (1, 1):
            raise ConversionError(f"{call.name}: stride {strides}, dilation {dilations}, expected one stride and no dilation")
        if padding == "same":
            padding = [(size - 1) // 2 for size in weight.shape[2:]]
        around = _pair(0 if padding == "valid" else padding)
        call.stride = strides[0]
        call.pads = tuple(pad + more for pad, more in zip(source.pads, (around[1], around[1], around[0], around[0])))
        call.input_size = (input.shape[2] - source.pads[2] - source.pads[3], input.shape[3] - source.pads[0] - source.pads[1])
        return Result(call)

    def _see_linear(self, source: Result, input: torch.Tensor, weight: torch.Tensor,
                    bias: Optional[torch.Tensor] = None) -> Result:
        return Result(self._layer(source, weight))

    def _see_batch_norm(self, source: Result, input: torch.Tensor, running_mean: Optional[torch.Tensor],
                        running_var: Any = None, weight: Any = None, bias: Any = None, training: bool = False,
                        momentum: float = 0.1, eps: float = 1e-5) -> Result:
        name = self.names.get(id(running_mean), "a BatchNorm without statistics")
        call = source.call
        if call is None or source.other or call.bn is not None or call.clamp is not None or any(source.pads):
            raise ConversionError(f"{name}: a BatchNorm that does not follow its convolution directly")
        call.bn, call.eps = name.rpartition(".")[0], eps
        return Result(call)

    def _see_relu(self, source: Result, input: torch.Tensor, inplace: bool = False) -> Result:
        return self._activate(source, 0.0, math.inf, "ReLU")

    def _see_relu6(self, source: Result, input: torch.Tensor, inplace: bool = False) -> Result:
        return self._activate(source, 0.0, 6.0, "ReLU6")

    def _see_hardtanh(self, source: Result, input: torch.Tensor, min_val: float = -1.0, max_val: float = 1.0,
                      inplace: bool = False) -> Result:
        return self._activate(source, min_val, max_val, "Hardtanh")

    def _see_clamp(self, source: Result, input: torch.Tensor, min: Any = None, max: Any = None) -> Result:
        return self._activate(source, -math.inf if min is None else min, math.inf if max is None else max, "clamp")

    _see_clip = _see_clamp

    def _see_clamp_min(self, source: Result, input: torch.Tensor, min: float) -> Result:
        return self._activate(source, min, math.inf, "clamp")

    def _see_pad(self, source: Result, input: torch.Tensor, pad: Sequence[int], mode: str = "constant",
                 value: Optional[float] = None) -> Result:
        if mode != "constant" or value or len(pad) > 4 or source.call is None and source.other:
            return Result(other=f"pad (mode {mode}, value {value})")
        added = (*pad, 0, 0, 0, 0)[:4]
        return replace(source, pads=tuple(before + more for before, more in zip(source.pads, added)))

    def _see_softmax(self, source: Result, input: torch.Tensor, *_: Any, **__: Any) -> Result:
        return Result(other="softmax", before_output=input, output_activation=SOFTMAX)

    _see_log_softmax = _see_softmax

    def _see_sigmoid(self, source: Result, input: torch.Tensor) -> Result:
        return Result(other="sigmoid", before_output=input, output_activation=SIGMOID)

    def _layer(self, source: Result, weight: torch.Tensor) -> Call:
        name = self.names.get(id(weight), "")
        if not name.endswith(".weight"):
            raise ConversionError("a layer whose weight is no tensor of the state_dict, but computed")
        name = name[:-len(".weight")]
        if source.call is None and source.other:
            raise ConversionError(f"{name}: its input comes from {source.other}, which no model file can hold")
        if name in self.calls:
            raise ConversionError(f"{name}: used twice")
        self.calls[name] = Call(name, len(self.calls))
        return self.calls[name]

    def _activate(self, source: Result, low: float, high: float, what: str) -> Result:
        call = source.call
        if call is None or source.other or call.clamp is not None or any(source.pads):
            return Result(other=f"{what} after {source.other or 'another activation or padding'}")
        if low == -math.inf:
            return Result(other=f"{what} without a lower bound")
        call.clamp = (_plain(low), None if high == math.inf else _plain(high))
        return Result(call)


@dataclass
class Observed:
    """A module that ran: its layers by name, and what it gave."""

    calls: dict[str, Call]
    examples: list[tuple[torch.Tensor, torch.Tensor]]  # inputs, outputs
    output_activation: Optional[str]

    def apply(self, recognised: Recognised) -> Recognised:
        """`recognised` with what was observed in place of what was assumed. Raises ConversionError."""
        origins = dict(recognised.origins)
        for name, origin in recognised.origins.items():
            call = self.calls.get(origin.conv)
            if call is None:
                raise ConversionError(f"{origin.conv}: in the state_dict, but the module did not use it")
            if call.bn != origin.bn:
                raise ConversionError(f"{origin.conv}: followed by {call.bn or 'no BatchNorm'}, expected {origin.bn or 'none'}")
            if origin.bn is not None:
                origins[name] = replace(origin, eps=call.eps)
        old = recognised.architecture

        def layer(name: str, known: Optional[Layer]) -> Optional[Layer]:
            if known is None:
                return None
            call = self.calls[origins[name].conv]
            if known.kernel == 1 and (call.stride != 1 or any(call.pads)):
                raise ConversionError(f"{call.name}: stride {call.stride}, padding {call.pads}, expected 1 and none")
            if call.stride not in (1, 2):
                raise ConversionError(f"{call.name}: stride {call.stride}, expected 1 or 2")
            return replace(known, stride=call.stride, clamp=call.clamp)

        def block(index: int, known: Block) -> Block:
            name = f"blocks.{index}"
            return Block(layer(f"{name}.expand", known.expand), layer(f"{name}.depthwise", known.depthwise),
                         layer(f"{name}.project", known.project), self.calls[origins[f"{name}.project"].conv].residual)

        architecture = replace(
            old, padding=self._padding([origins[name].conv for name, layer in old.layers() if layer.kernel == 3]),
            stem=layer("stem", old.stem), blocks=tuple(block(i, known) for i, known in enumerate(old.blocks)),
            head=layer("head", old.head), classifier=self._classifier(old, layer))
        table = replace(recognised.table, strides=tuple(block.depthwise.stride for block in architecture.blocks),
                        origin="strides observed", assumed=False)
        return replace(recognised, architecture=architecture, origins=origins, table=table)

    def _classifier(self, old: Architecture, layer: Callable[[str, Optional[Layer]], Optional[Layer]]) -> Any:
        layers = tuple(layer(name, known) for name, known in old.classifier_layers())
        return layers if isinstance(old.classifier, tuple) else layers[0] if layers else None

    def _padding(self, names: Sequence[str]) -> str:
        """"symmetric" or "same", whichever all the 3x3 convolutions `names` have."""
        possible = ["symmetric", "same"]
        for call in (self.calls[name] for name in names):
            before_y, before_x = (0 if call.stride == 2 and size % 2 == 0 else 1 for size in call.input_size)
            pads = {"symmetric": (1, 1, 1, 1), "same": (before_x, 1, before_y, 1)}
            possible = [kind for kind in possible if call.pads == pads[kind]]
            if not possible:
                raise ConversionError(f"{call.name}: padding {call.pads} (left, right, top, bottom) of an input of "
                                      f"{call.input_size} with stride {call.stride}: neither 1 on every side nor SAME, "
                                      "or not as in the layers before")
        return possible[0]

    def check(self, metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> None:
        """Raises ConversionError when the model file's network gives other outputs than the module."""
        for images, expected in self.examples:
            found = run_model_file(metadata, tensors, images.numpy())
            if found.shape != tuple(expected.shape):
                raise ConversionError(f"the module gives {list(expected.shape)} for {list(images.shape)}, "
                                      f"its layers make {list(found.shape)}")
            wrong = compare_outputs(found, expected.numpy(), TOLERANCE)
            if wrong:
                raise ConversionError(f"the converted layers give other outputs than the module: {wrong}; it does something that "
                                      "is no part of the network its names tell of")


@dataclass
class Subject:
    """A copy of a module in eval mode, on the CPU, in float32; its tensors, and their names by the tensors' ids."""

    module: torch.nn.Module
    tensors: dict[str, np.ndarray]  # float64
    names: dict[int, str]


def take_apart(module: torch.nn.Module) -> Subject:
    """Copies `module`. Names are those of the state_dict without wrappers. Raises ConversionError."""
    try:
        copied = copy.deepcopy(module).cpu().float().eval()
    except RuntimeError as error:  # such as weights that were computed
        raise ConversionError(f"the module cannot be copied: {error}") from None
    state = {name: value for name, value in copied.state_dict(keep_vars=True).items() if isinstance(value, torch.Tensor)}
    names = without_wrappers(list(state))
    return Subject(copied, {names[name]: _to_float64(name, value) for name, value in state.items()},
                   {id(value): names[name] for name, value in state.items()})


def _to_float64(name: str, value: torch.Tensor) -> np.ndarray:
    if value.layout != torch.strided or value.device.type != "cpu":
        raise ConversionError(f"{name}: a tensor of {value.layout} on {value.device}, expected a dense one with values")
    check_dtype(name, str(value.dtype))
    return value.detach().to(torch.float64).numpy()


def example_and_noise(example_input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two batches of its shape. Raises ConversionError for what is no batch of images."""
    shape = list(getattr(example_input, "shape", []))
    if len(shape) != 4 or shape[1] != 3 or min(shape) < 1:
        raise ConversionError(f"example_input: {shape or type(example_input).__name__}, expected a tensor [N, 3, H, W]")
    images = example_input.detach().cpu().float()
    return images, torch.randn(images.shape, generator=torch.Generator().manual_seed(1))


def observe(subject: Subject, example_input: torch.Tensor) -> Observed:
    """Runs the module on `example_input` and on noise of its shape. Raises ConversionError."""
    images, noise = example_and_noise(example_input)
    recording = Recording(subject.names)
    examples = [(images, recording.run(subject.module, images)),
                (noise, Recording(subject.names).run(subject.module, noise))]
    return Observed(recording.calls, examples, recording.output_activation)


def _pair(value: Any) -> tuple[int, int]:
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return (int(numbers[0]), int(numbers[-1]))


def _plain(value: float) -> float:
    """An integer where there is one, as the converter writes it."""
    return int(value) if float(value).is_integer() else float(value)
