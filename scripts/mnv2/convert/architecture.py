"""What a model file says of its network (models/README.md), as Python types. Needs nothing installed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Optional, Union

FORMAT = "mnv2-classify"

Clamp = Optional[tuple[float, Optional[float]]]  # (min, max) of an activation, max None for no bound; None for none
RELU6: Clamp = (0, 6)
RELU: Clamp = (0, None)
LINEAR: Clamp = None
ACTIVATIONS = {"relu6": RELU6, "relu": RELU}

SOFTMAX, SIGMOID, RAW = OUTPUT_ACTIVATIONS = ("softmax", "sigmoid", "none")
FORMS = ("crop", "crop-floor", "fit", "squash", "squash-half-pixel", "squash-align-corners")
CROP_FORMS = FORMS[:2]  # those that resize the short side first; for the others `resize` equals `crop`
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest")
VERSION_2_INTERPOLATIONS = INTERPOLATIONS[:2]


class ConversionError(Exception):
    """Whatever keeps a model file from being made; the base of the converter's errors."""


@dataclass(frozen=True)
class Layer:
    """One layer with BatchNorm folded in, and its activation."""

    kind: str  # "conv", "depthwise", "pointwise" or "linear"
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    clamp: Clamp
    source_parameters: Optional[int] = None  # trainable ones before folding, with BatchNorm's

    def weight_shape(self) -> tuple[int, ...]:
        """The shape of `<name>.weight` in PyTorch order."""
        if self.kind == "linear":
            return (self.out_channels, self.in_channels)
        per_group = 1 if self.kind == "depthwise" else self.in_channels
        return (self.out_channels, per_group, self.kernel, self.kernel)


@dataclass(frozen=True)
class Block:
    """An inverted residual, or with `expand` None and an activation after `project` a block of MobileNetV1."""

    expand: Optional[Layer]
    depthwise: Layer
    project: Layer
    residual: bool


@dataclass(frozen=True)
class Architecture:
    """`head` None: the last block is pooled. `classifier` None: the network gives features only; one linear layer, or
    several in order. `output_activation` makes probabilities of the last one's outputs.
    """

    name: str
    padding: str  # "symmetric" or "same", see models/README.md
    stem: Layer
    blocks: tuple[Block, ...]
    head: Optional[Layer]
    classifier: Union[None, Layer, tuple[Layer, ...]]
    output_activation: str = SOFTMAX

    @property
    def outputs(self) -> int:
        """Of the classifier; 0 without one."""
        layers = self.classifier_layers()
        return layers[-1][1].out_channels if layers else 0

    @property
    def classes(self) -> int:
        """As many as there are labels: a sigmoid over one output tells two classes apart."""
        return 2 if self.output_activation == SIGMOID and self.outputs == 1 else self.outputs

    def classifier_layers(self) -> list[tuple[str, Layer]]:
        if self.classifier is None:
            return []
        if isinstance(self.classifier, Layer):
            return [("classifier", self.classifier)]
        return [(f"classifier.{i}", layer) for i, layer in enumerate(self.classifier)]

    def layers(self) -> list[tuple[str, Layer]]:
        """(name, layer) in order of execution; the tensors are `<name>.weight` and `<name>.bias`."""
        named: list[tuple[str, Layer]] = [("stem", self.stem)]
        for i, block in enumerate(self.blocks):
            if block.expand is not None:
                named.append((f"blocks.{i}.expand", block.expand))
            named += [(f"blocks.{i}.depthwise", block.depthwise), (f"blocks.{i}.project", block.project)]
        if self.head is not None:
            named.append(("head", self.head))
        return named + self.classifier_layers()


@dataclass(frozen=True)
class Preprocessing:
    resize: int = 256  # pixels, of the short side
    crop: int = 224  # pixels
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # RGB, for values in [0, 1]
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    form: str = "crop"  # one of FORMS


def compact_json(value: Any) -> str:
    """JSON without spaces, ASCII only: the same bytes for the same value everywhere."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _without_unknown(description: Any) -> Any:
    """The description without counts that are not known; what else is None stands in the file as null."""
    if isinstance(description, dict):
        return {key: _without_unknown(value) for key, value in description.items()
                if key != "source_parameters" or value is not None}
    if isinstance(description, (list, tuple)):
        return [_without_unknown(value) for value in description]
    return description


def describe(architecture: Architecture) -> dict[str, Any]:
    """`architecture` of the metadata; what has its default is left out where an older version does not know it."""
    described = _without_unknown(asdict(architecture))
    if architecture.output_activation == SOFTMAX:
        del described["output_activation"]
    return described


def describe_preprocessing(preprocessing: Preprocessing) -> dict[str, Any]:
    described = asdict(preprocessing)
    if preprocessing.form == "crop":
        del described["form"]
    return described


def format_version(architecture: Architecture, preprocessing: Preprocessing, low_precision: bool = False) -> str:
    """The oldest version that can say all this, so that older programs read what they can run. `low_precision`: there are
    bfloat16 weights, or the layers' mean inputs."""
    if low_precision:
        return "4"
    old = (not isinstance(architecture.classifier, tuple) and architecture.output_activation == SOFTMAX and
           preprocessing.form == "crop" and preprocessing.interpolation in VERSION_2_INTERPOLATIONS)
    return "2" if old else "3"


def make_metadata(architecture: Architecture, preprocessing: Preprocessing, labels: Optional[list[str]], source: str,
                  source_sha256: Optional[str], low_precision: bool = False) -> dict[str, str]:
    """The `__metadata__` of a model file; `labels` and `source_sha256` are left out when None."""
    metadata = {
        "format": FORMAT,
        "format_version": format_version(architecture, preprocessing, low_precision),
        "architecture": compact_json(describe(architecture)),
        "preprocessing": compact_json(describe_preprocessing(preprocessing)),
        "source": source,
    }
    if labels is not None:
        metadata["labels"] = compact_json(labels)
    if source_sha256 is not None:
        metadata["source_sha256"] = source_sha256
    return metadata
