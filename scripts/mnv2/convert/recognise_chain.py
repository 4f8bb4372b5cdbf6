"""One recogniser for all sources: from the chain of found layers to the architecture of a model file and its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from mnv2.convert.architecture import Architecture, Block, Layer
from mnv2.convert.chain import Chain, ChainError, FoundLayer
from mnv2.convert.fold import check_finite, fold_norm
from mnv2.convert.graph import INPUT, Norm

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Network:
    """`tensors`: float64 by their names in the model file, with all normalisations folded in."""

    architecture: Architecture
    tensors: Tensors
    output_activation: Optional[str]  # None: the source ends in plain outputs
    side: Optional[int]  # pixels, of the images that the source takes


def recognise_chain(chain: Chain, side: Optional[int] = None) -> Network:
    """The MobileNet that `chain` is. Raises ChainError naming the first layer that does not fit, and FoldError."""
    return _Recogniser(chain, side).run()


class _Recogniser:
    """Takes layer after layer: a stem; blocks of [expand,] depthwise, project; perhaps a head; dense layers."""

    def __init__(self, chain: Chain, side: Optional[int]) -> None:
        self.chain, self.side = chain, side
        self.position = 0
        self.value = INPUT  # the node that the next layer takes
        self.channels = 3
        self.tensors: Tensors = {}
        self.paddings = ["symmetric", "same"]

    def run(self) -> Network:
        stem = self._take("stem", "conv")
        blocks: list[Block] = []
        while self._kind(0) == "depthwise" or self._kind(1) == "depthwise":
            blocks.append(self._block(f"blocks.{len(blocks)}"))
        if not blocks:
            raise ChainError(f"{self._describe(0)} after the stem; a MobileNet goes on with a 3x3 depthwise convolution, or a "
                             "1x1 one before it")
        inverted = any(block.expand is not None or block.residual for block in blocks)
        head = None if self._kind(0) is None else self._take("head", "pointwise")
        if self._kind(0) is not None:
            raise ChainError(f"{self._describe(0)} after the last block and a 1x1 convolution, which are all that a MobileNet has "
                             "before its pooling")
        dense = self.chain.dense
        if not self.chain.pooled:
            raise ChainError("the network ends in a map of features, not in its average over the pixels")
        several = len(dense) > 1 or any(layer.clamp is not None for layer in dense)
        classifier = tuple(self._dense(f"classifier.{i}" if several else "classifier", layer) for i, layer in enumerate(dense))
        architecture = Architecture("mobilenet_v2" if inverted else "mobilenet_v1", self.paddings[0], stem, tuple(blocks), head,
                                    None if not dense else classifier if several else classifier[0])
        return Network(architecture, self.tensors, self.chain.output_activation, self.side)

    def _kind(self, ahead: int) -> Optional[str]:
        """What the layer at this distance is, by its shape; None after the last."""
        maps = self.chain.maps
        if self.position + ahead >= len(maps):
            return None
        operation = maps[self.position + ahead].operation
        if operation.depthwise:
            return "depthwise"
        return "pointwise" if operation.weight.shape[2:] == (1, 1) else "conv"

    def _describe(self, ahead: int) -> str:
        if self._kind(ahead) is None:
            return "the end of the network"
        layer = self.chain.maps[self.position + ahead]
        kernel = "x".join(map(str, layer.operation.weight.shape[2:]))
        return f"{layer.name}: a {kernel} {'depthwise ' * layer.operation.depthwise}convolution"

    def _block(self, name: str) -> Block:
        source, in_channels = self.value, self.channels
        expand = self._take(f"{name}.expand", "pointwise") if self._kind(0) == "pointwise" else None
        depthwise = self._take(f"{name}.depthwise", "depthwise")
        if self._kind(0) != "pointwise":
            raise ChainError(f"{self._describe(0)} after a depthwise one, expected a 1x1 convolution")
        added = self.chain.maps[self.position].residual
        project = self._take(f"{name}.project", "pointwise", residual=True)
        if added is not None and (added != source or depthwise.stride != 1 or in_channels != project.out_channels):
            raise ChainError(f"{self.chain.maps[self.position - 1].name}: a residual connection that does not span one block")
        return Block(expand, depthwise, project, added is not None)

    def _take(self, name: str, kind: str, residual: bool = False) -> Layer:
        if self._kind(0) != kind:
            raise ChainError(f"{self._describe(0)}, expected {'a 3x3 convolution of an RGB image' if kind == 'conv' else kind}")
        found = self.chain.maps[self.position]
        operation, kernel = found.operation, found.operation.weight.shape[2:]
        if found.source != self.value:
            raise ChainError(f"{found.name}: its input is not what the layer before it gives; a MobileNet has no branches")
        if found.residual is not None and not residual:
            raise ChainError(f"{found.name}: a residual connection where a MobileNet has none")
        wanted = (3, 3) if kind in ("conv", "depthwise") else (1, 1)
        out_c, in_c = operation.weight.shape[0], self.channels if kind == "depthwise" else operation.weight.shape[1]
        if kernel != wanted:
            raise ChainError(f"{self._describe(0)}, expected a {wanted[0]}x{wanted[1]} one")
        if in_c != self.channels or kind == "depthwise" and out_c != in_c:
            raise ChainError(f"{found.name}: takes {operation.weight.shape[1]} channels and gives {out_c}, expected to take "
                             f"{self.channels}")
        if operation.stride not in (1, 2) or kind == "pointwise" and operation.stride != 1:
            raise ChainError(f"{found.name}: stride {operation.stride}, expected {'1' if kind == 'pointwise' else '1 or 2'}")
        self._padding(found)
        self.position += 1
        self.value, self.channels = found.value, out_c
        self._fold(name, found, found.operation.weight, found.operation.bias)
        return Layer(kind, in_c, out_c, wanted[0], operation.stride, found.clamp, _parameters(found))

    def _padding(self, found: FoundLayer) -> None:
        """Leaves the kinds of padding that this layer and all before it have."""
        stride, kernel = found.operation.stride, found.operation.weight.shape[2:]
        if kernel == (1, 1):
            if found.pads is not None and any(found.pads):
                raise ChainError(f"{found.name}: zeros around the input of a 1x1 convolution")
            return
        if found.pads is None:
            sizes = found.size or (2, 2)  # of unknown size: SAME is another thing where the side is even
            pads = tuple(0 if stride == 2 and size % 2 == 0 and i % 2 == 0 else 1
                         for size in (sizes[1], sizes[0]) for i in (0, 1))
        else:
            pads = found.pads
        sizes = found.size
        expected = {"symmetric": (1, 1, 1, 1)}
        if stride == 1:
            expected["same"] = (1, 1, 1, 1)
        elif sizes is not None:
            expected["same"] = (int(sizes[1] % 2 == 1), 1, int(sizes[0] % 2 == 1), 1)
        else:
            expected["same"] = (0, 1, 0, 1)
        self.paddings = [kind for kind in self.paddings if expected[kind] == pads]
        if not self.paddings:
            of = "" if sizes is None else f" of a map of {sizes[0]}x{sizes[1]}"
            raise ChainError(f"{found.name}: zeros {pads} (left, right, top, bottom){of} with stride {stride}: neither 1 on every "
                             "side nor as TensorFlow's SAME, or not as in the layers before")

    def _dense(self, name: str, found: FoundLayer) -> Layer:
        weight, bias = found.operation.weight, found.operation.bias
        out_c, in_c = weight.shape
        if found.source != self.value:
            raise ChainError(f"{found.name}: its input is not what the layer before it gives; a MobileNet has no branches")
        if in_c != self.channels:
            raise ChainError(f"{found.name}: takes {in_c} features, expected {self.channels}")
        before = found.before
        for norm in reversed(before):  # dense(gamma * x + beta) is one dense layer
            scale, shift = _affine(norm, in_c)
            bias = (np.zeros(out_c) if bias is None else bias) + weight @ shift
            weight = weight * scale
        self._fold(name, found, weight, bias)
        self.value, self.channels = found.value, out_c
        return Layer("linear", in_c, out_c, 1, 1, found.clamp, None if before else _parameters(found))

    def _fold(self, name: str, found: FoundLayer, weight: np.ndarray, bias: Optional[np.ndarray]) -> None:
        check_finite(f"{found.name}: weight", weight)
        if bias is None:
            bias = np.zeros(weight.shape[0])
        check_finite(f"{found.name}: bias", bias)
        for norm in found.norms:
            _affine(norm, weight.shape[0])
            weight, bias = fold_norm(weight, bias, norm.gamma, norm.beta, norm.mean, norm.variance, norm.eps)
        self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"] = weight, bias


def _affine(norm: Norm, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift) by channel; checks the values."""
    for part in ("gamma", "beta", "mean", "variance"):
        values = getattr(norm, part)
        check_finite(f"{norm.name}: {part}", values)
        if values.shape != (channels,):
            raise ChainError(f"{norm.name}: {part} has the shape {list(values.shape)}, expected [{channels}]")
    if (norm.variance + norm.eps <= 0).any():
        raise ChainError(f"{norm.name}: a variance of {norm.variance.min():g}")
    scale = norm.gamma / np.sqrt(norm.variance + norm.eps)
    return scale, norm.beta - norm.mean * scale


def _parameters(found: FoundLayer) -> int:
    bias = found.operation.bias
    return found.operation.weight.size + (0 if bias is None else bias.size) + sum(norm.parameters for norm in found.norms)
