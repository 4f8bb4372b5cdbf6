"""From the tensors of a checkpoint, or from a whole module, to a model file: what all ways of converting share."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Mapping, Optional, Sequence, Union

import numpy as np

from mnv2_checkpoint import refuse_quantised
from mnv2_fold import count_source_parameters, fold
from mnv2_known_layouts import LAYOUTS, recognise
from mnv2_labels import LabelsError, imagenet_labels, read_labels
from mnv2_layouts import Layout, Recognised
from mnv2_model_file import (Architecture, ConversionError, Preprocessing, make_metadata, read_model_file,
                             write_model_file)

if TYPE_CHECKING:
    import torch

MAX_RESIZE, MAX_CROP = 16384, 4096  # pixels; the program's own limits
INTERPOLATIONS = ("bilinear", "bicubic")

# Looks at the model file before it gets its name; raises ConversionError when it is not what it should be.
Check = Callable[[dict[str, str], dict[str, np.ndarray]], None]


@dataclass(frozen=True)
class PreprocessingWishes:
    """What the user says about the preprocessing; None for what the layout's published weights want."""

    resize: Optional[int] = None  # pixels, of the short side
    crop: Optional[int] = None  # pixels
    interpolation: Optional[str] = None
    mean: Optional[tuple[float, float, float]] = None
    std: Optional[tuple[float, float, float]] = None


@dataclass(frozen=True)
class Converted:
    """What was written."""

    output: Path
    bytes: int
    parameters: int
    recognised: Recognised
    preprocessing: Preprocessing
    labels: Optional[list[str]]

    @property
    def architecture(self) -> Architecture:
        return self.recognised.architecture


def choose_preprocessing(layout: Layout, wishes: PreprocessingWishes) -> Preprocessing:
    """The layout's preprocessing with what the user wishes. Raises ConversionError for what no program can do."""
    stated = {name: value for name, value in vars(wishes).items() if value is not None}
    if layout.crop_fraction is not None and "resize" not in stated and "crop" in stated:
        stated["resize"] = int(stated["crop"] / layout.crop_fraction)
    chosen = replace(layout.preprocessing, **stated)
    for name, limit in (("resize", MAX_RESIZE), ("crop", MAX_CROP)):
        side = getattr(chosen, name)
        if type(side) is not int or not 1 <= side <= limit:
            raise ConversionError(f"{name} {side!r}, expected 1 to {limit} pixels")
    if chosen.interpolation not in INTERPOLATIONS:
        raise ConversionError(f"interpolation {chosen.interpolation!r}, expected one of {', '.join(INTERPOLATIONS)}")
    for name, smallest in (("mean", float("-inf")), ("std", 0.0)):
        values = getattr(chosen, name)
        if len(values) != 3 or not all(np.isfinite(value) and value > smallest for value in values):
            raise ConversionError(f"{name} {values}, expected three finite numbers{' above 0' * (smallest == 0)}")
    return chosen


def find_labels(labels: Union[None, Path, Sequence[str]], classes: int) -> Optional[list[str]]:
    """The names of a file or list; without either ImageNet's for 1000 classes, where torchvision has them."""
    if labels is not None and classes == 0:
        raise LabelsError("labels for a network that has no classifier, which gives features and no classes")
    if labels is None:
        return imagenet_labels() if classes == 1000 else None
    if isinstance(labels, (str, Path)):
        return read_labels(Path(labels), classes)
    if len(labels) != classes or not all(isinstance(label, str) and label for label in labels):
        raise LabelsError(f"{len(labels)} labels, expected {classes} names, one per class")
    return list(labels)


def check_output(output: Path, checkpoint: Optional[Path] = None) -> None:
    """Refuses what the written file must not replace: above all a device such as /dev/null, when root runs this."""
    if output.is_dir():
        raise ConversionError(f"{output}: --output is a directory, expected the name of a file")
    if not output.parent.is_dir():
        raise ConversionError(f"{output}: there is no directory {output.parent} to write to")
    if output.exists() and not output.is_file():
        raise ConversionError(f"{output}: --output is no regular file")
    if checkpoint is not None and output.exists() and checkpoint.exists() and output.samefile(checkpoint):
        raise ConversionError(f"{output}: --output is the checkpoint itself")


def write_network(output: Path, tensors: Mapping[str, np.ndarray], recognised: Recognised,
                  preprocessing: Preprocessing, labels: Optional[list[str]], source: str,
                  source_sha256: Optional[str] = None, check: Optional[Check] = None) -> Converted:
    """Folds `tensors` and writes the model file. Raises ConversionError."""
    folded = fold(tensors, recognised)
    recognised = count_source_parameters(tensors, recognised)
    metadata = make_metadata(recognised.architecture, preprocessing, labels, source, source_sha256)
    size = _write_checked(output, metadata, folded, check)
    return Converted(output, size, sum(tensor.size for tensor in folded.values()), recognised, preprocessing, labels)


def _write_checked(output: Path, metadata: dict[str, str], tensors: dict[str, np.ndarray],
                   check: Optional[Check]) -> int:
    """Writes a temporary file beside `output`, reads it back, compares, and renames it. Returns its size in bytes."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        write_model_file(temporary, metadata, tensors)
        read_metadata, read_tensors = read_model_file(temporary)
        if read_metadata != metadata or list(read_tensors) != list(tensors):
            raise ConversionError(f"{temporary}: read back other metadata or tensors than written")
        for name, tensor in tensors.items():
            if read_tensors[name].shape != tensor.shape or not np.array_equal(read_tensors[name], tensor):
                raise ConversionError(f"{temporary}: {name}: read back other values than written")
        if check is not None:
            check(read_metadata, read_tensors)
        size = temporary.stat().st_size
        os.replace(temporary, output)
        return size
    except OSError as error:
        raise ConversionError(f"{output}: cannot write: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def convert(module: "torch.nn.Module", example_input: "torch.Tensor", output: Union[str, Path], *,
            arch: Optional[str] = None, labels: Union[None, Path, Sequence[str]] = None,
            wishes: PreprocessingWishes = PreprocessingWishes(), source: Optional[str] = None) -> Converted:
    """Writes a model file of `module`, which stays as it is.

    The layers are recognised by the names of the state_dict (`arch`: a name of LAYOUTS, to force one). Strides,
    activations, residual connections, padding and BatchNorm's eps are observed while the module runs on `example_input`
    [N, 3, H, W]. The written file's network must then give the module's outputs on `example_input` and on noise, within
    1e-4 of the largest; a softmax at the end is left out, because the program has its own.

    `labels` is a file or the names; the crop is the side of `example_input`, unless `wishes` say otherwise.
    Raises ConversionError, and whatever `module` raises when it runs.
    """
    from mnv2_observe import observe, take_apart

    output = Path(output)
    check_output(output)
    if arch is not None and arch not in LAYOUTS:
        raise ConversionError(f"arch {arch!r}, expected one of {', '.join(LAYOUTS)}")
    refuse_quantised(module.state_dict())
    subject = take_apart(module)
    recognised = recognise(subject.tensors, arch=arch)
    observed = observe(subject, example_input)
    recognised = observed.apply(recognised)
    if wishes.crop is None and example_input.shape[2] == example_input.shape[3]:
        crop = int(example_input.shape[2])
        layout = recognised.layout.preprocessing
        wishes = replace(wishes, crop=crop, resize=wishes.resize or crop * layout.resize // layout.crop)
    preprocessing = choose_preprocessing(recognised.layout, wishes)
    classifier = recognised.architecture.classifier
    names = find_labels(labels, 0 if classifier is None else classifier.out_channels)
    return write_network(output, subject.tensors, recognised, preprocessing, names,
                         source or f"module {type(module).__name__}", check=observed.check)
