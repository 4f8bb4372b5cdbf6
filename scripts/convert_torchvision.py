#!/usr/bin/env python3
"""Writes a model file for mnv2-classify from torchvision's MobileNetV2 weights or a PyTorch checkpoint."""

from __future__ import annotations

if __name__ == "__main__":
    import mnv2_interpreter
    mnv2_interpreter.need("numpy", "torch")

import argparse
import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Optional, Sequence

import numpy as np

from mnv2_block_table import Row, Table
from mnv2_checkpoint import CheckpointError, load_checkpoint
from mnv2_fold import FoldError, fold
from mnv2_labels import LabelsError, imagenet_labels, read_labels
from mnv2_layouts import LayoutError, recognise_torchvision_v2
from mnv2_model_file import ModelFileError, Preprocessing, make_metadata, read_model_file, write_model_file

MAX_RESIZE, MAX_CROP = 16384, 4096  # pixels; the program's own limits


@dataclass(frozen=True)
class PublishedWeights:
    """One entry of torchvision.models.MobileNet_V2_Weights, which torchvision before 0.13 does not have."""

    url: str  # the eight hex digits at the end of the name begin the file's SHA-256
    resize: int


WEIGHTS = {
    "IMAGENET1K_V1": PublishedWeights("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth", 256),
    "IMAGENET1K_V2": PublishedWeights("https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth", 232),
}
DEFAULT_WEIGHTS = "IMAGENET1K_V1"


class ConvertError(Exception):
    """Anything else that keeps the model file from being made."""


def parse_weights(text: str) -> str:
    """An enum name, with or without the name of the enum; DEFAULT is IMAGENET1K_V2 as in torchvision."""
    name = text[len("MobileNet_V2_Weights."):] if text.startswith("MobileNet_V2_Weights.") else text
    name = "IMAGENET1K_V2" if name == "DEFAULT" else name
    if name not in WEIGHTS:
        raise argparse.ArgumentTypeError(f"unknown weights {text!r}, expected one of {', '.join(WEIGHTS)}, DEFAULT")
    return name


def parse_side(text: str, limit: int) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= limit):
        raise argparse.ArgumentTypeError(f"{text!r}, expected 1 to {limit} pixels")
    return int(text)


def parse_rows(text: str) -> list[Row]:
    """torchvision's inverted_residual_setting as JSON: [[t, c, n, s], ...]."""
    try:
        rows = [Row(*row) for row in json.loads(text)]
        valid = bool(rows) and all(row.t > 0 and row.c > 0 and row.n > 0 and row.s in (1, 2) for row in rows)
    except (ValueError, TypeError, RecursionError):
        valid = False
    if not valid or not all(type(number) is int for row in rows for number in (row.c, row.n, row.s)):
        raise argparse.ArgumentTypeError("expected a JSON list of [t, c, n, s] rows, with s 1 or 2")
    return rows


def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="convert_torchvision.py", description=__doc__, allow_abbrev=False)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--weights", type=parse_weights, metavar="NAME",
                        help=f"download torchvision's weights: {', '.join(WEIGHTS)} (default: {DEFAULT_WEIGHTS})")
    source.add_argument("--checkpoint", type=Path, metavar="FILE",
                        help="a state_dict of torchvision's mobilenet_v2, saved alone or under `state_dict` or `model`")
    parser.add_argument("--labels", type=Path, metavar="FILE",
                        help="class names: text with one a line, or JSON (default: ImageNet's for 1000 classes)")
    parser.add_argument("--resize", type=partial(parse_side, limit=MAX_RESIZE), metavar="N",
                        help="short side after resizing, in pixels (default: that of the weights, else 256)")
    parser.add_argument("--crop", type=partial(parse_side, limit=MAX_CROP), metavar="N", default=224,
                        help="side of the central crop, in pixels (default: 224)")
    parser.add_argument("--inverted-residual-setting", type=parse_rows, metavar="JSON",
                        help="the [[t, c, n, s], ...] the network was built with; a checkpoint does not hold the "
                             "strides s, which follow torchvision's default table unless given here")
    parser.add_argument("--output", type=Path, metavar="FILE", required=True, help="the .safetensors file to write")
    return parser.parse_args(arguments)


def download(name: str) -> Path:
    """The file of published weights in torch.hub's cache, downloaded there and checked when it is not there yet."""
    import torch.hub

    url = WEIGHTS[name].url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        note(f"downloading {url}")
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[1],
                                           progress=sys.stderr.isatty())
        except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors, a wrong hash is a RuntimeError
            raise ConvertError(f"cannot download {url}: {error}; with a file at hand use --checkpoint FILE") from None
    return path


def find_labels(path: Optional[Path], classes: int) -> Optional[list[str]]:
    if path is not None:
        return read_labels(path, classes)
    if classes != 1000:
        return None
    labels = imagenet_labels()
    if labels is None:
        note("no labels: torchvision 0.13 or later, which has the names of ImageNet's classes, cannot be imported; "
             "use --labels FILE")
    return labels


def check_output(output: Path, checkpoint: Path) -> None:
    """Refuses what the written file must not replace: above all a device such as /dev/null, when root runs this."""
    if output.is_dir():
        raise ConvertError(f"{output}: --output is a directory, expected the name of a file")
    if not output.parent.is_dir():
        raise ConvertError(f"{output}: there is no directory {output.parent} to write to")
    if output.exists() and not output.is_file():
        raise ConvertError(f"{output}: --output is no regular file")
    if output.exists() and checkpoint.exists() and output.samefile(checkpoint):
        raise ConvertError(f"{output}: --output is the checkpoint itself")


def write_checked(output: Path, metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> int:
    """Writes a temporary file beside `output`, reads it back, compares, and renames it. Returns its size in bytes."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        write_model_file(temporary, metadata, tensors)
        read_metadata, read_tensors = read_model_file(temporary)
        if read_metadata != metadata or list(read_tensors) != list(tensors):
            raise ConvertError(f"{temporary}: read back other metadata or tensors than written")
        for name, tensor in tensors.items():
            if read_tensors[name].shape != tensor.shape or not np.array_equal(read_tensors[name], tensor):
                raise ConvertError(f"{temporary}: {name}: read back other values than written")
        size = temporary.stat().st_size
        os.replace(temporary, output)
        return size
    except OSError as error:
        raise ConvertError(f"{output}: cannot write: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def describe_rows(table: Table) -> str:
    return json.dumps([[int(row.t) if row.t == int(row.t) else row.t, row.c, row.n, row.s] for row in table.rows])


def note(message: str) -> None:
    print(f"convert_torchvision.py: {message}", file=sys.stderr)


def convert(options: argparse.Namespace) -> None:
    """Does what the command line asks for; raises one of the modules' errors, OSError or ImportError."""
    if options.checkpoint is None:
        name = options.weights or DEFAULT_WEIGHTS
        path, source, resize = download(name), f"torchvision MobileNet_V2_Weights.{name}", WEIGHTS[name].resize
    else:
        path, resize = options.checkpoint, Preprocessing.resize
        source = "checkpoint " + os.fsencode(path.name).decode(errors="replace")
    check_output(options.output, path)
    checkpoint = load_checkpoint(path)
    try:
        recognised = recognise_torchvision_v2(checkpoint.tensors, options.inverted_residual_setting)
    except LayoutError as error:
        raise ConvertError(f"{path}: not a torchvision mobilenet_v2: {error}") from None
    try:
        tensors = fold(checkpoint.tensors, recognised)
    except FoldError as error:
        raise ConvertError(f"{path}: {error}") from None

    architecture, table = recognised.architecture, recognised.table
    classes = architecture.classifier.out_channels
    labels = find_labels(options.labels, classes)
    preprocessing = Preprocessing(resize=options.resize or resize, crop=options.crop)
    metadata = make_metadata(architecture, preprocessing, labels, source, checkpoint.sha256)
    size = write_checked(options.output, metadata, tensors)

    parameters = sum(tensor.size for tensor in tensors.values())
    note(f"{source}: {architecture.name}, {len(architecture.blocks)} blocks ({table.origin}), {classes} classes, "
         f"{'no' if labels is None else len(labels)} labels")
    if table.assumed:
        note(f"warning: a checkpoint does not hold the strides; assumed {describe_rows(table)} as [t, c, n, s] "
             "with the channels c of this network; if it was built otherwise, use --inverted-residual-setting")
    note(f"wrote {options.output}: {size} bytes, {parameters} parameters, resize {preprocessing.resize}, "
         f"crop {preprocessing.crop}; read back and compared")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
    try:
        convert(options)
    except (CheckpointError, ConvertError, FoldError, LabelsError, LayoutError, ModelFileError) as error:
        note(str(error))
    except OSError as error:
        note(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    except ImportError as error:
        note(f"{error}; install python3-torch, or choose an interpreter that has torch")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
