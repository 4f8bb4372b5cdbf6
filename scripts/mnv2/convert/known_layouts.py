"""The layouts that the converter knows, and which of them a checkpoint has.

MobileNetV2 is Sandler et al. 2018 (arXiv 1801.04381), MobileNetV1 Howard et al. 2017 (arXiv 1704.04861). Adding a layout
is a function that takes its tensors in order of execution, and an entry of LAYOUTS.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Mapping, Optional

from mnv2.convert.architecture import Preprocessing
from mnv2.convert.block_table import BlockShape, find_separable_table, find_table, table_of_stages
from mnv2.convert.layouts import BlockForm, ChainReader, Layout, LayoutError, Reading, Recognised, Settings, Tensors, read_layout
from mnv2.convert.structural import read_structure

if TYPE_CHECKING:
    import numpy as np

V2_STRIDES = (1, 2, 2, 2, 1, 2, 1)
V2_LENGTHS = (1, 2, 3, 4, 3, 3, 1)
TIMM_V1_STRIDES = (1, 2, 2, 2, 2)
NESTED = BlockForm(expand=("0.0", "0.1"), depthwise=("1.0", "1.1"), project=("2", "3"))
NESTED_UNEXPANDED = BlockForm(depthwise=("0.0", "0.1"), project=("1", "2"))
FLAT = BlockForm(expand=("0", "1"), depthwise=("3", "4"), project=("6", "7"))
FLAT_UNEXPANDED = BlockForm(depthwise=("0", "1"), project=("3", "4"))
BIASED = BlockForm(expand=("conv_1", "bn_1"), depthwise=("conv_2_dw", "bn_2"), project=("conv_2_pw", "bn_3"))
SEPARABLE = BlockForm(depthwise=("depthwise.0", "depthwise.1"), project=("pointwise.0", "pointwise.1"))
TIMM_EXPANDED = BlockForm(expand=("conv_pw", "bn1"), depthwise=("conv_dw", "bn2"), project=("conv_pwl", "bn3"))
TIMM_SEPARABLE = BlockForm(depthwise=("conv_dw", "bn1"), project=("conv_pw", "bn2"))


def _last_index(tensors: Tensors, pattern: str, default: int) -> int:
    """The highest number that the group of `pattern` matches at the beginning of a name."""
    matches = (re.match(pattern, name, re.ASCII) for name in tensors.names())
    return max((int(match[1][:9]) for match in matches if match), default=default)


def _read_torchvision(chain: ChainReader) -> Reading:
    """torchvision's own, and the first public implementations: blocks as one flat sequence, the head outside `features`."""
    tensors = chain.tensors
    chain.stem("features.0.0", "features.0.1")
    last = _last_index(tensors, r"features\.(\d+)\.conv\.", 1)
    for index in range(1, last + 1):
        prefix = f"features.{index}.conv"
        if f"{prefix}.0.weight" in tensors and len(tensors.shape(f"{prefix}.0.weight")) == 4:
            form = FLAT_UNEXPANDED if tensors.is_filter(f"{prefix}.0.weight") else FLAT
        else:
            form = NESTED_UNEXPANDED if tensors.is_filter(f"{prefix}.0.0.weight") else NESTED
        chain.block(prefix, form)
    head = "conv" if "conv.0.weight" in tensors else f"features.{last + 1}"
    chain.head(f"{head}.0", f"{head}.1")
    return Reading("mobilenet_v2", lambda: find_table(chain.stem_channels, chain.blocks, chain.features))


def _read_flat(chain: ChainReader) -> Reading:
    chain.stem("features.0", "features.1")
    last = _last_index(chain.tensors, r"features\.(\d+)\.conv\.", 3)
    for index in range(3, last + 1):
        prefix = f"features.{index}.conv"
        chain.block(prefix, FLAT_UNEXPANDED if chain.tensors.is_filter(f"{prefix}.0.weight") else FLAT)
    chain.head(f"features.{last + 1}", f"features.{last + 2}")
    return Reading("mobilenet_v2", lambda: find_table(chain.stem_channels, chain.blocks, chain.features))


def _read_biased(chain: ChainReader) -> Reading:
    chain.biased = True
    chain.stem("layer_1_conv", None)
    stages = [[chain.block("layer_2_bottleneck", BIASED)]]
    for number in range(3, 8):
        prefix = f"layer_{number}_bottleneck"
        last = _last_index(chain.tensors, prefix + r"\.(\d+)\.", 0)
        stages.append([chain.block(f"{prefix}.{index}", BIASED) for index in range(last + 1)])
    chain.head("layer_8_conv", None)
    chain.classifier("layer_10_conv")
    return Reading("mobilenet_v2", lambda: table_of_stages(stages, V2_STRIDES[:-1]),
                   stem_activated=False, head_activated=False)


def _read_features(chain: ChainReader) -> Reading:
    chain.stem("first_layer.0", "first_layer.1")
    for index in range(_last_index(chain.tensors, r"layers\.(\d+)\.conv\.", 0) + 1):
        chain.block(f"layers.{index}.conv", FLAT)
    chain.head("last_layer.0", "last_layer.1")
    return Reading("mobilenet_v2", lambda: find_table(chain.stem_channels, chain.blocks, chain.features, truncated=True),
                   truncated=True)


def _read_v1(chain: ChainReader) -> Reading:
    chain.biased = True
    chain.stem("bottleneck.0", "bottleneck.1")
    # Number 2 is the stem's activation where that is a module of its own.
    first = 2 if "bottleneck.2.depthwise.0.weight" in chain.tensors else 3
    for index in range(first, _last_index(chain.tensors, r"bottleneck\.(\d+)\.(?:depth|point)wise\.", first) + 1):
        chain.block(f"bottleneck.{index}", SEPARABLE)
    return Reading("mobilenet_v1", lambda: find_separable_table(chain.stem_channels, chain.blocks),
                   truncated=True, project_activated=True)


def _read_timm_stages(chain: ChainReader, separable_only: bool) -> list[list[BlockShape]]:
    stages: list[list[BlockShape]] = []
    for stage in range(_last_index(chain.tensors, r"blocks\.(\d+)\.", 0) + 1):
        last = _last_index(chain.tensors, rf"blocks\.{stage}\.(\d+)\.", 0)
        stages.append([])
        for index in range(last + 1):
            prefix = f"blocks.{stage}.{index}"
            # "ds" blocks have no bn3 and no conv_pwl; a block that lacks only one of them shall miss it.
            expanded = f"{prefix}.conv_pwl.weight" in chain.tensors or f"{prefix}.bn3.weight" in chain.tensors
            form = TIMM_EXPANDED if expanded and not separable_only else TIMM_SEPARABLE
            stages[-1].append(chain.block(prefix, form))
    return stages


def _read_timm_v2(chain: ChainReader) -> Reading:
    chain.stem("conv_stem", "bn1")
    stages = _read_timm_stages(chain, separable_only=False)
    chain.head("conv_head", "bn2")
    return Reading("mobilenet_v2", lambda: table_of_stages(stages, V2_STRIDES))


def _read_timm_v1(chain: ChainReader) -> Reading:
    chain.stem("conv_stem", "bn1")
    stages = _read_timm_stages(chain, separable_only=True)
    if "conv_head.weight" in chain.tensors:  # mobilenetv1_100h
        chain.head("conv_head", "bn2")
    return Reading("mobilenet_v1", lambda: table_of_stages(stages, TIMM_V1_STRIDES), project_activated=True)


def _hugging_face(prefix: str) -> tuple[str, str]:
    return f"{prefix}.convolution", f"{prefix}.normalization"


def _read_hugging_face_v2(chain: ChainReader) -> Reading:
    """transformers' MobileNetV2: its stem holds the first block, layer.i are the others."""
    stem = "mobilenet_v2.conv_stem"
    chain.stem(*_hugging_face(f"{stem}.first_conv"))
    expand = f"{stem}.expand_1x1"  # where first_layer_is_expansion is false
    blocks = [BlockForm(_hugging_face(f"{stem}.conv_3x3"), _hugging_face(f"{stem}.reduce_1x1"),
                        _hugging_face(expand) if f"{expand}.convolution.weight" in chain.tensors else None)]
    for index in range(_last_index(chain.tensors, r"mobilenet_v2\.layer\.(\d+)\.", 0) + 1):
        parts = (f"mobilenet_v2.layer.{index}.{part}" for part in ("conv_3x3", "reduce_1x1", "expand_1x1"))
        blocks.append(BlockForm(*map(_hugging_face, parts)))
    shapes = [chain.block("", form) for form in blocks]
    chain.head(*_hugging_face("mobilenet_v2.conv_1x1"))
    ends = [sum(V2_LENGTHS[:i]) for i in range(len(V2_LENGTHS) + 1)]
    stages = [shapes[start:end] for start, end in zip(ends, ends[1:])]
    if len(shapes) != ends[-1]:
        raise LayoutError(f"{len(shapes)} blocks, expected {ends[-1]}")
    return Reading("mobilenet_v2", lambda: table_of_stages(stages, V2_STRIDES))


def _read_hugging_face_v1(chain: ChainReader) -> Reading:
    chain.stem(*_hugging_face("mobilenet_v1.conv_stem"))
    for index in range(0, _last_index(chain.tensors, r"mobilenet_v1\.layer\.(\d+)\.", 0) + 1, 2):
        parts = (f"mobilenet_v1.layer.{number}" for number in (index, index + 1))
        chain.block("", BlockForm(*map(_hugging_face, parts)))
    return Reading("mobilenet_v1", lambda: find_separable_table(chain.stem_channels, chain.blocks), truncated=True,
                   project_activated=True)


_TIMM_NAMES = r"(conv_stem|bn[12]|conv_head|classifier|blocks\.\d+\.\d+\.(conv_pwl?|conv_dw|bn[123]))\.\w+$"
_HALF = (0.5, 0.5, 0.5)
_HUGGING_FACE = Preprocessing(mean=_HALF, std=_HALF, form="crop-floor")
LAYOUTS = {layout.name: layout for layout in (
    Layout("torchvision", "torchvision mobilenet_v2", "features.0.0.weight",
            r"(features\.\d+\.\d\.\w+|features\.\d+\.conv\.\d\.(\d\.)?\w+|classifier\.1\.\w+)$", _read_torchvision),
    Layout("flat", "flat mobilenet_v2", "features.0.weight",
            r"(features\.\d+\.\w+|features\.\d+\.conv\.\d\.\w+|classifier\.1\.\w+)$", _read_flat),
    Layout("biased", "mobilenet_v2 with biased convolutions", "layer_1_conv.weight",
            r"layer_\d+_(conv|bottleneck(\.\d+)?\.(conv_1|conv_2_dw|conv_2_pw|bn_[123]))\.\w+$", _read_biased),
    Layout("features", "mobilenet_v2 of features only", "first_layer.0.weight",
            r"(first_layer|last_layer|layers\.\d+\.conv)\.\d\.\w+$", _read_features),
    Layout("mobilenetv1", "mobilenet_v1", "bottleneck.0.weight",
            r"(bottleneck\.\d+\.((depth|point)wise\.\d\.)?\w+|classifier\.1\.\w+)$", _read_v1),
    Layout("timm-mobilenetv2", "timm mobilenetv2", "conv_stem.weight", _TIMM_NAMES, _read_timm_v2,
            Preprocessing(interpolation="bicubic"), 0.875),
    Layout("timm-mobilenetv1", "timm mobilenetv1", "conv_stem.weight", _TIMM_NAMES, _read_timm_v1,
            Preprocessing(interpolation="bicubic", mean=_HALF, std=_HALF), 0.875),
    Layout("huggingface-mobilenetv2", "Hugging Face's mobilenet_v2", "mobilenet_v2.conv_stem.first_conv.convolution.weight",
           r"(mobilenet_v2\.(conv_stem|layer|conv_1x1)\.|classifier\.)", _read_hugging_face_v2, _HUGGING_FACE),
    Layout("huggingface-mobilenetv1", "Hugging Face's mobilenet_v1", "mobilenet_v1.conv_stem.convolution.weight",
           r"(mobilenet_v1\.(conv_stem|layer)\.|classifier\.)", _read_hugging_face_v1, _HUGGING_FACE),
)}


# torchvision's detectors (SSD, RetinaNet, Faster R-CNN), and mmdetection's heads
DETECTOR = re.compile(r"(^|\.)(regression_head|roi_heads|rpn|bbox_head)\.")
STRUCTURE = Layout("structure", "MobileNet by its shapes", "", "", read_structure)


def recognise(tensors: Mapping[str, np.ndarray], settings: Settings = Settings(), arch: Optional[str] = None) -> Recognised:
    """The network that a state_dict holds; `arch` names the entry of LAYOUTS to use whatever the names look like.

    Raises LayoutError naming the tensor that does not fit.
    """
    # A fused network has biases in place of its BatchNorms.
    advice = "" if any(name.endswith(".running_var") for name in tensors) else (
        "; no BatchNorm is there: if this network was fused, convert it as it was before fuse_model()")
    boxes = next((name for name in tensors if DETECTOR.search(name)), None)
    if boxes is not None:
        raise LayoutError(f"{boxes}: a part of a detector, which gives boxes and not one answer for each image; only classifiers "
                          "and networks of features are converted")
    if arch is None and not any(layout.marker in tensors for layout in LAYOUTS.values()):
        stripped = _strip(tensors)
        if stripped is not None:
            return _with_names_of(tensors, stripped, recognise(stripped, settings))
        try:
            return read_layout(STRUCTURE, tensors, settings)
        except LayoutError as error:
            if _choose(tensors) is None and _looks_like_mobilenet(tensors):
                raise LayoutError(f"names of no layout that is known, and by its shapes no MobileNet: {error}") from None
    layout = LAYOUTS[arch] if arch is not None else _choose(tensors)
    if layout is None:
        known = ", ".join(f"{layout.title} ({layout.marker})" for layout in LAYOUTS.values())
        raise LayoutError(f"no layout that is known; the checkpoint begins with {Tensors(tensors).first()}, expected one of "
                          f"{known}{advice}")
    try:
        return read_layout(layout, tensors, settings)
    except LayoutError as error:
        why = "the closest of the known layouts" if arch is None else f"as --arch {arch} wants"
        raise LayoutError(f"not a {layout.title}, {why}: {error}{advice}") from None


def _strip(tensors: Mapping[str, np.ndarray]) -> Optional[dict[str, np.ndarray]]:
    """`tensors` without the prefix that those of a known network have; None when there is none, or not one alone.

    What is outside the prefix keeps its name: a head may stand there.
    """
    prefixes = {name[:-len(layout.marker)] for layout in LAYOUTS.values() for name in tensors
                if name.endswith("." + layout.marker)}
    if len(prefixes) > 1:
        raise LayoutError(f"several networks in one state_dict, {' and '.join(sorted(prefixes))}; save one of them alone")
    if not prefixes:
        return None
    prefix = prefixes.pop()
    stripped = {name[len(prefix):] if name.startswith(prefix) else name: values for name, values in tensors.items()}
    return stripped if len(stripped) == len(tensors) else None


def _with_names_of(tensors: Mapping[str, np.ndarray], stripped: Mapping[str, np.ndarray], found: Recognised) -> Recognised:
    """`found` in `stripped`, whose tensors stand in the same order in `tensors`, by the names there."""
    modules = {short.rpartition(".")[0]: name.rpartition(".")[0] for short, name in zip(stripped, tensors)}
    origins = {layer: replace(origin, conv=modules[origin.conv], bn=modules.get(origin.bn), before=modules.get(origin.before))
               for layer, origin in found.origins.items()}
    return replace(found, origins=origins)


def _looks_like_mobilenet(tensors: Mapping[str, np.ndarray]) -> bool:
    return any(values.ndim == 4 and values.shape[1:] == (1, 3, 3) for values in tensors.values())


def _choose(tensors: Mapping[str, np.ndarray]) -> Optional[Layout]:
    """The layout that has these names, or the one that most of them are from; None when that is not even half of them."""
    marked = [layout for layout in LAYOUTS.values() if layout.marker in tensors]
    if {layout.name for layout in marked} == {"timm-mobilenetv2", "timm-mobilenetv1"}:
        inverted = any(".conv_pwl." in name for name in tensors)
        return LAYOUTS["timm-mobilenetv2" if inverted else "timm-mobilenetv1"]
    matches = {layout.name: sum(bool(re.match(layout.names, name, re.ASCII)) for name in tensors)
               for layout in marked or LAYOUTS.values()}
    best = max(matches, key=matches.__getitem__)
    return LAYOUTS[best] if marked or 2 * matches[best] >= len(tensors) else None
