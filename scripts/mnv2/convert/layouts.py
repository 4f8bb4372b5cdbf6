"""What recognising a checkpoint needs whatever its layout: taking tensors with a check of their shapes, following the
chain of layers, and the description of the network that comes out. The layouts themselves are in known_layouts.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Mapping, Optional, Sequence

from mnv2.convert.architecture import ACTIVATIONS, LINEAR, Architecture, Block, Clamp, ConversionError, Layer, Preprocessing
from mnv2.convert.block_table import BlockShape, Row, Table, TableError, check_table
from mnv2.convert.state_head import DenseShape, read_head

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[Optional[int], ...]  # None: any number of channels
HEADS = ("classifier", "fc", "head", "linear", "last_linear")  # names that people give a dense layer
BN_EPS = 1e-5  # torch.nn.BatchNorm2d's default
FUSED_STEM = re.compile(r"(^|\.)features\.0\.0\.0$")  # elsewhere the convolution is features.0.0 or features.0


class LayoutError(ConversionError):
    """Tensors that do not make the network; names the first one that does not fit."""


@dataclass(frozen=True)
class Settings:
    """What a checkpoint does not hold. `rows`: the inverted_residual_setting, None for the published network's. `activation`:
    of ACTIVATIONS, None for what the names tell, or else relu6."""

    rows: Optional[Sequence[Row]] = None
    padding: str = "symmetric"
    activation: Optional[str] = None
    bn_eps: float = BN_EPS


@dataclass(frozen=True)
class Origin:
    """The modules of the checkpoint that one layer is made of: `<conv>.weight`, perhaps `<conv>.bias`, and perhaps a
    BatchNorm with its eps."""

    conv: str
    bn: Optional[str]
    eps: float = BN_EPS
    before: Optional[str] = None  # a BatchNorm of the input, of a dense layer after an activation


@dataclass(frozen=True)
class BlockForm:
    """The modules (conv, BatchNorm) of a block's layers, below the block's own name; without `expand` for none."""

    depthwise: tuple[str, Optional[str]]
    project: tuple[str, Optional[str]]
    expand: Optional[tuple[str, Optional[str]]] = None


@dataclass(frozen=True)
class Recognised:
    """An architecture, the origin of each of its layers by name, and the table its blocks come from.

    `activation`: that of the convolutions, of ACTIVATIONS; `activation_note`: what the names tell of it.
    `left_out`: tensors of the checkpoint that are no part of the network. `normalisation`: (mean, std) of a layer that
    normalises the image, for values from 0 to 1. `assumed_relu`: between dense layers, where nothing tells.
    """

    architecture: Architecture
    origins: dict[str, Origin]
    table: Table
    layout: "Layout"
    left_out: tuple[str, ...] = ()
    normalisation: Optional[tuple[tuple[float, ...], tuple[float, ...]]] = None
    assumed_relu: bool = False
    activation: str = "relu6"
    activation_note: str = ""


@dataclass(frozen=True)
class Layout:
    """One way in which people name the tensors of a network.

    `marker` is a tensor that only this layout has, `names`, a regular expression, matches all of its tensors; `read` walks
    through them.
    `preprocessing` is what its published weights were made with; `crop_fraction` is crop / resize where it is fixed.
    """

    name: str
    title: str
    marker: str
    names: str
    read: Callable[["ChainReader"], "Reading"]
    preprocessing: Preprocessing = Preprocessing()
    crop_fraction: Optional[float] = None


@dataclass(frozen=True)
class Reading:
    """What is peculiar to a layout once its tensors are taken: the table, and where activations are."""

    architecture: str
    table: Callable[[], Table]
    truncated: bool = False  # channels scaled without rounding
    stem_activated: bool = True
    project_activated: bool = False  # MobileNetV1's blocks: an activation and never a residual connection
    head_activated: bool = True


class Tensors:
    """Takes tensors out of a state_dict one by one, checking shapes, so that what is left over is known."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self._tensors = tensors
        self._left = dict.fromkeys(tensors)
        self._modules: set[str] = set()  # those that tensors were taken of

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def names(self) -> list[str]:
        return list(self._tensors)

    def is_filter(self, name: str) -> bool:
        """Whether `name` is the weight of a 3x3 convolution."""
        return name in self._tensors and self._tensors[name].shape[2:] == (3, 3)

    def take(self, name: str, expected: Shape) -> tuple[int, ...]:
        """The shape of `name`, which must agree with `expected`."""
        wanted = "[" + ", ".join("any" if size is None else str(size) for size in expected) + "]"
        if name not in self._tensors:
            raise LayoutError(f"{name} is missing, expected {wanted}; the checkpoint begins with {self.first()}")
        shape = self._tensors[name].shape
        fits = len(shape) == len(expected) and all(want in (None, size) for want, size in zip(expected, shape))
        if not fits or 0 in shape:
            raise LayoutError(f"{name} has the shape {list(shape)}, expected {wanted}")
        self._left.pop(name, None)
        self._modules.add(name.rpartition(".")[0])
        return shape

    def put_back(self, module: str) -> None:
        self._left.update(dict.fromkeys(name for name in self._tensors if name.rpartition(".")[0] == module))

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor; () when it is not there."""
        return self._tensors[name].shape if name in self._tensors else ()

    def has_norms(self) -> bool:
        return any(name.endswith(".running_var") for name in self._tensors)

    def left_modules(self) -> list[str]:
        """Modules of which tensors are left, in the order of the file, but those of a Sequential by their numbers."""
        modules = list(dict.fromkeys(name.rpartition(".")[0] for name in self._left))
        parents = [module.rpartition(".")[0] if module.rpartition(".")[2].isdecimal() else module for module in modules]
        return sorted(modules, key=lambda module: (parents.index(parents[modules.index(module)]), by_number(module)))

    def take_norm(self, prefix: str, channels: int) -> None:
        """The four tensors of a BatchNorm and its counter, which networks of before PyTorch 0.4.1 lack."""
        self._modules.add(prefix)
        for part in ("weight", "bias", "running_mean", "running_var"):
            self.take(f"{prefix}.{part}", (channels,))
        self._left.pop(f"{prefix}.num_batches_tracked", None)

    def take_normalisation(self) -> Optional[tuple[tuple[float, ...], tuple[float, ...]]]:
        """(mean, std) of a layer that normalises the image, for values from 0 to 1; None when there is none."""
        found = {}
        for name in self._left:
            module, _, part = name.rpartition(".")
            if part in ("mean", "std") and self._tensors[name].size == 3:
                found.setdefault(module, {})[part] = name
        pairs = [parts for parts in found.values() if len(parts) == 2]
        if len(pairs) != 1:
            return None
        mean, std = (self._tensors[pairs[0][part]].reshape(-1) for part in ("mean", "std"))
        for name in pairs[0].values():
            del self._left[name]
        most = 255.0 if max(*mean, *std) > 2 else 1.0  # some normalise bytes
        return tuple(float(x) for x in mean / most), tuple(float(x) for x in std / most)

    def finish(self, features: int, headless: bool) -> tuple[str, ...]:
        """What was left out: counters and weights beside the network. Raises LayoutError when a tensor that was not taken
        may be a part of it."""
        families = {module.split(".")[0] for module in self._modules}
        for name in self._left:
            shape = self._tensors[name].shape
            inside = "." in name and name.split(".")[0] in families
            if len(shape) == 2 and headless and inside | (name.split(".")[0] in HEADS):
                raise LayoutError(f"{name} has the shape {list(shape)}, expected [any, {features}]")
            second_head = len(shape) == 2 and shape[1] == features
            norm = name.endswith(".running_mean")
            if self._tensors[name].size > 1 and (inside or len(shape) > 2 or second_head or norm):
                raise LayoutError(f"{name} {list(shape)} is unexpected")
        return tuple(self._left)

    def first(self) -> str:
        name, tensor = next(iter(self._tensors.items()))
        return f"{name} {list(tensor.shape)}"


@dataclass
class ChainReader:
    """Follows a network through its tensors in order of execution; every layer takes what the one before gives.

    `biased`: convolutions have a bias although BatchNorm follows; without BatchNorm they always do.
    """

    tensors: Tensors
    bn_eps: float
    biased: bool = False
    channels: int = 3  # of the layer that was taken last
    stem_channels: int = 0
    origins: dict[str, Origin] = field(default_factory=dict)
    blocks: list[BlockShape] = field(default_factory=list)
    features: Optional[int] = None  # channels of the head
    dense: list[DenseShape] = field(default_factory=list)  # the classifier

    def stem(self, conv: str, bn: Optional[str]) -> None:
        self.stem_channels = self._dense("stem", conv, bn, 3)

    def head(self, conv: str, bn: Optional[str]) -> None:
        self.features = self._dense("head", conv, bn, 1)

    def block(self, prefix: str, form: BlockForm) -> BlockShape:
        """Takes the block at `prefix` and returns its shape."""
        name, in_c = f"blocks.{len(self.blocks)}", self.channels
        def below(pair: tuple[str, Optional[str]]) -> tuple[str, Optional[str]]:
            conv, bn = (part if part is None or not prefix else f"{prefix}.{part}" for part in pair)
            return conv, bn

        if form.expand is not None:
            self._dense(f"{name}.expand", *below(form.expand), 1)
        hidden = self.channels
        self._take_conv(f"{name}.depthwise", *below(form.depthwise), (hidden, 1, 3, 3))
        self._dense(f"{name}.project", *below(form.project), 1)
        self.blocks.append(BlockShape(in_c, hidden, self.channels, form.expand is not None))
        return self.blocks[-1]

    def classifier(self, name: str) -> None:
        """A 1x1 convolution on the pooled features, which is a dense layer."""
        shape = self.tensors.take(f"{name}.weight", (None, self.channels, 1, 1))
        self.tensors.take(f"{name}.bias", shape[:1])
        self.dense = [DenseShape(Origin(name, None), shape[1], shape[0], LINEAR)]

    def _dense(self, layer: str, conv: str, bn: Optional[str], kernel: int) -> int:
        self.channels = self._take_conv(layer, conv, bn, (None, self.channels, kernel, kernel))
        return self.channels

    def _take_conv(self, layer: str, conv: str, bn: Optional[str], shape: Shape) -> int:
        out_c = self.tensors.take(f"{conv}.weight", shape)[0]
        has_bias = f"{conv}.bias" in self.tensors
        if has_bias and not self.tensors.has_norms():
            bn = None  # folded in already
        if self.biased or bn is None or has_bias:
            self.tensors.take(f"{conv}.bias", (out_c,))
        if bn is not None:
            self.tensors.take_norm(bn, out_c)
        self.origins[layer] = Origin(conv, bn, self.bn_eps)
        return out_c


def read_layout(layout: Layout, tensors: Mapping[str, np.ndarray], settings: Settings) -> Recognised:
    """The network that `tensors` make when `layout` is theirs. Raises LayoutError."""
    chain = ChainReader(Tensors(tensors), settings.bn_eps)
    reading = layout.read(chain)
    chain.dense = chain.dense or read_head(chain)
    normalisation = chain.tensors.take_normalisation()
    left_out = chain.tensors.finish(chain.channels, not chain.dense)
    several = len(chain.dense) > 1
    activation, note = choose_activation(chain, settings.activation)
    for i, dense in enumerate(chain.dense):
        chain.origins[f"classifier.{i}" if several else "classifier"] = dense.origin
    try:
        table = reading.table() if settings.rows is None else check_table(
            settings.rows, chain.stem_channels, chain.blocks, chain.features, reading.truncated)
    except TableError as error:
        raise LayoutError(f"inverted_residual_setting: {error}") from None
    architecture = _assemble(chain, reading, table, settings.padding, ACTIVATIONS[activation])
    return Recognised(architecture, chain.origins, table, layout, left_out, normalisation,
                      any(dense.clamp is not None for dense in chain.dense), activation, note)


def choose_activation(chain: ChainReader, stated: Optional[str]) -> tuple[str, str]:
    """The activation of the convolutions, and what is to be said of it.

    PyTorch's fuse_modules makes one module of a convolution, its BatchNorm and a ReLU, which then is its number 0 (ConvReLU2d).
    It takes no ReLU6, so that torchvision's networks for quantisation have ReLU.
    """
    if stated is not None or chain.tensors.has_norms():
        return stated or "relu6", ""
    if FUSED_STEM.search(chain.origins["stem"].conv):
        return "relu", "the names are those of PyTorch's fuse_modules, which fuses ReLU and not ReLU6: ReLU is taken"
    return "relu6", ("warning: no BatchNorm is there; if it was fused for quantisation, the activation is ReLU and not ReLU6 "
                     "(convert_torchvision.py --checkpoint FILE --activation relu)")


def _assemble(chain: ChainReader, reading: Reading, table: Table, padding: str, activation: Clamp) -> Architecture:
    def clamp(activated: bool) -> Clamp:
        return activation if activated else LINEAR

    def block(shape: BlockShape, stride: int) -> Block:
        return Block(
            expand=Layer("pointwise", shape.in_c, shape.hidden, 1, 1, clamp(True)) if shape.expanded else None,
            depthwise=Layer("depthwise", shape.hidden, shape.hidden, 3, stride, clamp(True)),
            project=Layer("pointwise", shape.hidden, shape.out_c, 1, 1, clamp(reading.project_activated)),
            residual=not reading.project_activated and stride == 1 and shape.in_c == shape.out_c)

    last_c = chain.blocks[-1].out_c
    head = None if chain.features is None else Layer("pointwise", last_c, chain.features, 1, 1,
                                                     clamp(reading.head_activated))
    classifier = tuple(Layer("linear", dense.in_c, dense.out_c, 1, 1, dense.clamp) for dense in chain.dense)
    return Architecture(
        name=reading.architecture, padding=padding,
        stem=Layer("conv", 3, chain.stem_channels, 3, 2, clamp(reading.stem_activated)),
        blocks=tuple(block(shape, stride) for shape, stride in zip(chain.blocks, table.strides)),
        head=head, classifier=None if not classifier else classifier if len(classifier) > 1 else classifier[0])


def by_number(name: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part[:9]), "") if part.isascii() and part.isdecimal() else (-1, part) for part in name.split("."))
