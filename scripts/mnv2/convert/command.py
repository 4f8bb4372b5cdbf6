"""Makes a model file for mnv2-classify of what people's MobileNet classifiers are kept in.

SOURCE is a PyTorch or safetensors file with a state_dict, a folder of Hugging Face's, a Keras model (.h5 or .keras, Teachable
Machine's too), a folder of TensorFlow.js or its model.json, a .tflite or .onnx file, or a .zip file of one of these. What the
network is, how its outputs and its images are meant, and its labels come from the file as far as it tells; the rest is what
such files mostly mean, which is said, and a flag wins over both. Nothing in a file is run.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Optional, Sequence

from mnv2.convert.architecture import (CROP_FORMS, FORMS, INTERPOLATIONS, OUTPUT_ACTIVATIONS, ConversionError,
                                       Preprocessing)
from mnv2.convert.options import add_precision_options, parse_channels, parse_side
from mnv2.convert.preprocessing import MAX_CROP, MAX_RESIZE, check_preprocessing
from mnv2.interpreter import need



def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="convert.py", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the file or folder to convert")
    parser.add_argument("--output", type=Path, metavar="FILE", required=True, help="the .safetensors file to write")
    parser.add_argument("--labels", type=Path, metavar="FILE",
                        help="class names: text with one a line, or JSON (default: those of the file, or beside it)")
    parser.add_argument("--output-activation", choices=OUTPUT_ACTIVATIONS,
                        help="what makes probabilities of the outputs; sigmoid over one output tells two classes apart, over "
                             "several each is independent of the others")
    parser.add_argument("--key", metavar="NAME", help="which state_dict of a PyTorch file that has several")
    preprocessing = parser.add_argument_group("images", "where the file does not tell, or tells wrong")
    preprocessing.add_argument("--resize-form", choices=FORMS, metavar="NAME",
                               help="crop: the short side, then the middle; fit: the largest square of the middle; squash: the "
                                    "whole image, by Pillow's filters; squash-half-pixel: as TensorFlow resizes; "
                                    "squash-align-corners: as TensorFlow.js' image packages do")
    preprocessing.add_argument("--resize", type=partial(parse_side, limit=MAX_RESIZE), metavar="N",
                               help="the short side before a crop, in pixels")
    preprocessing.add_argument("--crop", type=partial(parse_side, limit=MAX_CROP), metavar="N",
                               help="the side that the network gets, in pixels")
    preprocessing.add_argument("--interpolation", choices=INTERPOLATIONS)
    for name, above in (("mean", -math.inf), ("std", 0.0)):
        preprocessing.add_argument(f"--{name}", type=partial(parse_channels, above=above), metavar="R,G,B",
                                   help="for values from 0 to 1")
    add_precision_options(parser)
    return parser.parse_args(arguments)


def note(message: str) -> None:
    print(f"convert.py: {message}", file=sys.stderr)


def choose_images(found: Preprocessing, options: argparse.Namespace) -> Preprocessing:
    """What was found, with the user's flags in place of it."""
    form = options.resize_form or found.form
    crop = options.crop or (options.resize if form not in CROP_FORMS else None) or found.crop
    if form not in CROP_FORMS:
        if options.resize not in (None, crop):
            raise ConversionError(f"--resize {options.resize} and --crop {crop}: the form {form} has one side, name it once")
        resize = crop
    elif options.resize is not None:
        resize = options.resize
    else:
        resize = crop * found.resize // found.crop if found.form in CROP_FORMS else crop * 8 // 7
    stated = {name: value for name in ("interpolation", "mean", "std") if (value := getattr(options, name)) is not None}
    if form.startswith("squash-") and options.interpolation is None:
        stated["interpolation"] = "bilinear"  # the only one that these have
    return check_preprocessing(replace(found, form=form, resize=resize, crop=crop, **stated))


def run(options: argparse.Namespace) -> None:
    """Does what the command line asks for. Raises ConversionError, OSError, ImportError."""
    from mnv2.convert.conversion import Precision, check_output, find_labels, write_folded
    from mnv2.convert.fold import to_float32
    from mnv2.convert.heads import settle_outputs
    from mnv2.convert.read_source import read_source

    check_output(options.output, options.source if options.source.is_file() else None)
    source = read_source(options.source, options.key)
    network = source.network
    architecture = settle_outputs(network.architecture, options.output_activation, network.output_activation)
    labels = find_labels(options.labels or source.labels, architecture)
    preprocessing = choose_images(source.preprocessing, options)
    tensors = {name: to_float32(f"{name} with its normalisation folded in", values)
               for name, values in network.tensors.items()}
    converted = write_folded(options.output, tensors, architecture, preprocessing, labels,
                             f"{source.title} {printable(options.source.name)}", Precision(options.dtype, options.calibrate),
                             source.sha256, source.check)

    outputs = architecture.outputs
    what = f"features only, {architecture.layers()[-1][1].out_channels} of them" if outputs == 0 else (
        f"{architecture.classes} classes by {architecture.output_activation}, {'no' if labels is None else len(labels)} labels")
    note(f"{printable(str(options.source))}: {source.title}; {architecture.name}, {len(architecture.blocks)} blocks, {what}")
    for line in [*source.notes, *converted.notes]:
        note(line)
    note(f"wrote {options.output}: {converted.bytes} bytes, {converted.parameters} parameters; images: "
         f"{describe_images(preprocessing)}; checked against the source's own operations")


def describe_images(images: Preprocessing) -> str:
    numbers = ["/".join(f"{value:.6g}" for value in values) for values in (images.mean, images.std)]
    resize = f"{images.resize} and {images.crop}" if images.form in CROP_FORMS else f"to {images.crop}"
    return f"{images.form} {resize}, {images.interpolation}, mean {numbers[0]}, std {numbers[1]}"


def printable(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")


def named(options: argparse.Namespace, said: str) -> bool:
    """Whether an error names what it is about: the source, the output or a flag."""
    return any(text in said for text in (str(options.source), str(options.output), "--"))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
    if arguments is None:
        need("numpy", *["PIL"] * (options.calibrate is not None))
    try:
        run(options)
    except (ConversionError, ImportError) as error:
        said = str(error)
        note(printable(said if named(options, said) else f"{options.source}: {said}"))
    except OSError as error:
        note(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    except MemoryError:
        note(f"{options.source}: not enough memory")
    else:
        return 0
    return 1
