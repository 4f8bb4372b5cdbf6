"""A state_dict whose names are nobody's: the network is read from the order and the shapes of its tensors.

nn.Module keeps tensors in the order in which the modules were made, which is that of execution in every MobileNet that
people write; where a file has sorted them by name, the numbers in the names give the order back. Shapes then say what each
convolution is: 3x3 of three channels the stem, 3x3 with one channel per filter depthwise, 1x1 the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from mnv2.convert.block_table import find_separable_table, find_table
from mnv2.convert.layouts import BlockForm, ChainReader, LayoutError, Reading, by_number

STEM, DEPTHWISE, POINTWISE = "3x3 convolution", "3x3 depthwise convolution", "1x1 convolution"


@dataclass(frozen=True)
class Found:
    """A convolution and the BatchNorm after it."""

    kind: str
    module: str
    bn: Optional[str]
    channels: int


def read_structure(chain: ChainReader) -> Reading:
    """Takes the network out of the tensors of `chain`, in their order or in that of the numbers in their names."""
    names = chain.tensors.names()
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    try:
        found = _convolutions(chain, modules)
        plan = _divide(found)
    except LayoutError:
        found = _convolutions(chain, sorted(modules, key=by_number))
        plan = _divide(found)
    return _take(chain, *plan)


def _convolutions(chain: ChainReader, modules: list[str]) -> list[Found]:
    tensors, found = chain.tensors, []
    for module in modules:
        shape = tensors.shape(f"{module}.weight")
        if len(shape) == 4:
            found.append(Found(_kind(module, shape), module, None, shape[0]))
        elif f"{module}.running_mean" in tensors and found and found[-1].bn is None:
            if tensors.shape(f"{module}.running_mean") == (found[-1].channels,) and tensors.shape(f"{module}.weight"):
                last = found[-1]
                found[-1] = Found(last.kind, last.module, module, last.channels)
    # In a head a BatchNorm follows features that are pooled; the convolution before it has its own already.
    return found


def _kind(module: str, shape: tuple[int, ...]) -> str:
    if shape[1:] == (3, 3, 3):
        return STEM
    if shape[1:] == (1, 3, 3):
        return DEPTHWISE
    if shape[2:] == (1, 1):
        return POINTWISE
    raise LayoutError(f"{module}.weight {list(shape)}: a MobileNet has 3x3 depthwise and 1x1 convolutions after its stem")


def _divide(found: list[Found]) -> tuple[Found, list[list[Found]], list[Found]]:
    """(stem, blocks of [expand,] depthwise, project, the 1x1 convolutions after them)."""
    if not found or found[0].kind != STEM:
        first = f"{found[0].module}.weight, a {found[0].kind}" if found else "no convolution"
        raise LayoutError(f"begins with {first}, expected a 3x3 convolution of an RGB image")
    blocks, position = [], 1
    kinds = [one.kind for one in found] + [""] * 3
    while DEPTHWISE in kinds[position:position + 2]:
        size = 2 if kinds[position] == DEPTHWISE else 3
        if kinds[position:position + size] != [POINTWISE, DEPTHWISE, POINTWISE][3 - size:]:
            one = found[min(position + size - 1, len(found) - 1)]
            raise LayoutError(f"{one.module}.weight: a {one.kind}, expected a 1x1 convolution after a depthwise one")
        blocks.append(found[position:position + size])
        position += size
    rest = found[position:]
    if not blocks or len(rest) > 2 or any(one.kind != POINTWISE for one in rest):
        one = rest[-1] if rest else found[-1]
        raise LayoutError(f"{one.module}.weight: a {one.kind} where a MobileNet has none")
    return found[0], blocks, rest


def _take(chain: ChainReader, stem: Found, blocks: list[list[Found]], rest: list[Found]) -> Reading:
    fused = not chain.tensors.has_norms()
    # MobileNetV1's blocks have no expanding convolution, and it mostly has no 1x1 convolution after them.
    separable = all(len(block) == 2 for block in blocks)
    chain.stem(stem.module, stem.bn)
    for block in blocks:
        pairs = [(one.module, one.bn) for one in block]
        chain.block("", BlockForm(expand=pairs[0] if len(block) == 3 else None, depthwise=pairs[-2], project=pairs[-1]))
    # The last one without a BatchNorm, where others have one and no dense layer follows, gives the classes.
    dense = any(len(chain.tensors.shape(f"{module}.weight")) == 2 for module in chain.tensors.left_modules())
    classifier = rest.pop() if rest and not dense and rest[-1].bn is None and not (fused and len(rest) == 1) else None
    if len(rest) > 1:
        raise LayoutError(f"{rest[-1].module}.weight: a second 1x1 convolution after the last block")
    if rest:
        chain.head(rest[0].module, rest[0].bn)
    if classifier is not None:
        chain.classifier(classifier.module)
    table: Callable = lambda: (  # noqa: E731
        find_separable_table(chain.stem_channels, chain.blocks) if separable else
        find_table(chain.stem_channels, chain.blocks, chain.features or chain.blocks[-1].out_c, truncated=True))
    return Reading("mobilenet_v1" if separable else "mobilenet_v2", table, truncated=True,
                   stem_activated=stem.bn is not None or fused, project_activated=separable,
                   head_activated=not rest or rest[0].bn is not None or fused)
