"""From recognised tensors to a model file on the disk: what all ways of converting share."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence, Union

import numpy as np

from mnv2.convert.architecture import Architecture, ConversionError, Preprocessing, make_metadata
from mnv2.convert.calibration import calibrate
from mnv2.convert.fold import count_source_parameters, fold
from mnv2.convert.labels import LabelsError, imagenet_labels, read_labels
from mnv2.convert.layouts import Recognised
from mnv2.convert.model_file import read_model_file, round_weights, write_model_file
from mnv2.convert.options import BFLOAT16, FLOAT32

# Looks at what a model file says and at its layers' weights and biases; raises ConversionError when they are not what they
# should be.
Check = Callable[[dict[str, str], dict[str, np.ndarray]], None]


@dataclass(frozen=True)
class Precision:
    """What a file holds for arithmetic of less than float32: `dtype` of the weights (one of DTYPES), and `photos`, a folder of
    those that the layers' mean inputs are measured on; without it they are synthetic ones."""

    dtype: str = FLOAT32
    photos: Optional[Path] = None


@dataclass(frozen=True)
class Converted:
    """What was written."""

    output: Path
    bytes: int
    parameters: int
    architecture: Architecture
    preprocessing: Preprocessing
    labels: Optional[list[str]]
    notes: list[str] = field(default_factory=list)  # what else is to be said
    recognised: Optional[Recognised] = None  # of a network that was recognised by its tensors' names


def find_labels(labels: Union[None, Path, Sequence[str]], architecture: Architecture) -> Optional[list[str]]:
    """The names of a file or list; without either ImageNet's for 1000 classes.

    Where a sigmoid tells two classes apart, one name stands for `not NAME` and `NAME`.
    """
    classes = architecture.classes
    if labels is not None and classes == 0:
        raise LabelsError("labels for a network that has no classifier, which gives features and no classes")
    if labels is None:
        return imagenet_labels() if classes == 1000 else None
    where = ""
    if isinstance(labels, (str, Path)):
        labels, where = read_labels(Path(labels)), f"{labels}: "
    if architecture.outputs < classes and len(labels) == 1:
        labels = [f"not {labels[0]}", *labels]
    if len(labels) != classes or not all(isinstance(label, str) and label for label in labels):
        raise LabelsError(f"{where}{len(labels)} labels, expected {classes}, one per class")
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
                  preprocessing: Preprocessing, labels: Optional[list[str]], source: str, precision: Precision = Precision(),
                  source_sha256: Optional[str] = None, check: Optional[Check] = None) -> Converted:
    """Folds `tensors` and writes the model file. Raises ConversionError."""
    folded = fold(tensors, recognised)
    recognised = count_source_parameters(tensors, recognised)
    converted = write_folded(output, folded, recognised.architecture, preprocessing, labels, source, precision,
                             source_sha256, check)
    return replace(converted, recognised=recognised)


def write_folded(output: Path, folded: dict[str, np.ndarray], architecture: Architecture, preprocessing: Preprocessing,
                 labels: Optional[list[str]], source: str, precision: Precision = Precision(),
                 source_sha256: Optional[str] = None, check: Optional[Check] = None) -> Converted:
    """Measures the layers' mean inputs and writes the model file. `folded`: float32 weights and biases of all layers.

    `check` sees these as they were before rounding to bfloat16. Raises ConversionError.
    """
    bfloat16 = precision.dtype == BFLOAT16
    stored = round_weights(folded) if bfloat16 else folded
    calibration = calibrate(architecture, folded, preprocessing, precision.photos)
    tensors = in_order(architecture, {**stored, **(calibration.means or {})})
    metadata = make_metadata(architecture, preprocessing, labels, source, source_sha256,
                             low_precision=bfloat16 or calibration.means is not None)
    size = write_checked(output, metadata, tensors, bfloat16, check and partial(check, metadata, folded))
    notes = list(calibration.notes)
    if calibration.means is not None:
        notes.insert(0, f"each layer's mean input, which int8 corrects its biases by, is that of {calibration.images}")
    return Converted(output, size, sum(tensor.size for tensor in folded.values()), architecture, preprocessing, labels, notes)


def in_order(architecture: Architecture, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By layers in order of execution: weight, bias and mean input of each."""
    names = (f"{name}.{part}" for name, _ in architecture.layers() for part in ("weight", "bias", "input_mean"))
    return {name: tensors[name] for name in names if name in tensors}


def write_checked(output: Path, metadata: dict[str, str], tensors: dict[str, np.ndarray], bfloat16: bool,
                  check: Optional[Callable[[], None]]) -> int:
    """Writes a temporary file beside `output`, reads it back, compares, and renames it. Returns its size in bytes.

    `check` looks at the network once its file was read back, and raises ConversionError when it is not what it should be.
    """
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        write_model_file(temporary, metadata, tensors, bfloat16)
        read_metadata, read_tensors = read_model_file(temporary)
        if read_metadata != metadata or set(read_tensors) != set(tensors):
            raise ConversionError(f"{temporary}: read back other metadata or tensors than written")
        for name, tensor in tensors.items():
            if read_tensors[name].shape != tensor.shape or not np.array_equal(read_tensors[name], tensor):
                raise ConversionError(f"{temporary}: {name}: read back other values than written")
        if check is not None:
            check()
        size = temporary.stat().st_size
        os.replace(temporary, output)
        return size
    except OSError as error:
        raise ConversionError(f"{output}: cannot write: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
