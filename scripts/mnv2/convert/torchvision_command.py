"""Writes a model file for mnv2-classify from torchvision's weights or a checkpoint of MobileNetV1 or MobileNetV2.

Checkpoints of torchvision, timm and others are recognised by the names of their tensors. From Python, convert(module,
example_input, output) writes the model file of a whole torch.nn.Module.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Sequence

from mnv2.convert.architecture import ACTIVATIONS, INTERPOLATIONS, OUTPUT_ACTIVATIONS, ConversionError
from mnv2.convert.block_table import Table
from mnv2.convert.heads import HeadError, settle_outputs
from mnv2.convert.known_layouts import LAYOUTS, recognise
from mnv2.convert.layouts import BN_EPS, LayoutError, Settings
from mnv2.convert.options import add_precision_options, parse_channels, parse_eps, parse_rows, parse_side
from mnv2.convert.preprocessing import MAX_CROP, MAX_RESIZE, PreprocessingWishes, choose_preprocessing
from mnv2.convert.published import DEFAULT_WEIGHTS, WEIGHTS, download, parse_weights
from mnv2.interpreter import need

if TYPE_CHECKING:
    from mnv2.convert.conversion import Converted


def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="convert_torchvision.py", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--weights", type=parse_weights, metavar="NAME",
                        help=f"download torchvision's weights: {', '.join(WEIGHTS)} (default: {DEFAULT_WEIGHTS})")
    source.add_argument("--checkpoint", type=Path, metavar="FILE",
                        help="a state_dict, saved alone or under `state_dict` or `model`, or a safetensors file")
    parser.add_argument("--output", type=Path, metavar="FILE", required=True, help="the .safetensors file to write")
    parser.add_argument("--labels", type=Path, metavar="FILE",
                        help="class names: text with one a line, or JSON (default: ImageNet's for 1000 classes)")

    network = parser.add_argument_group("what a checkpoint does not say")
    network.add_argument("--arch", choices=LAYOUTS, metavar="NAME",
                         help=f"the layout, when its names deceive: {', '.join(LAYOUTS)}")
    network.add_argument("--inverted-residual-setting", type=parse_rows, metavar="JSON",
                         help="the [[t, c, n, s], ...] the network was built with; a checkpoint does not hold the "
                              "strides s, which follow the published network's table unless given here")
    network.add_argument("--activation", choices=ACTIVATIONS,
                         help="what follows the convolutions (default: relu6; relu where the names are those of PyTorch's "
                              "fuse_modules; torchvision's quantisable networks that are not fused: relu)")
    network.add_argument("--padding", choices=("symmetric", "same"), default="symmetric",
                         help="same: TensorFlow's, for weights that come from there (default: symmetric)")
    network.add_argument("--bn-eps", type=parse_eps, metavar="X", default=BN_EPS,
                         help=f"BatchNorm's epsilon (default: {BN_EPS:g}; TensorFlow's networks: 0.001)")

    network.add_argument("--output-activation", choices=OUTPUT_ACTIVATIONS,
                         help="what makes probabilities of the outputs (default: softmax); sigmoid over one output tells two "
                              "classes apart, over several each is independent of the others")

    preprocessing = parser.add_argument_group("preprocessing", "default: that of the layout's published weights")
    preprocessing.add_argument("--resize", type=partial(parse_side, limit=MAX_RESIZE), metavar="N",
                               help="short side after resizing, in pixels (256; for timm's layouts crop / 0.875)")
    preprocessing.add_argument("--crop", type=partial(parse_side, limit=MAX_CROP), metavar="N",
                               help="side of the central crop, in pixels (224)")
    preprocessing.add_argument("--interpolation", choices=INTERPOLATIONS, help="(bilinear; for timm's layouts bicubic)")
    for name, above in (("mean", -math.inf), ("std", 0.0)):
        preprocessing.add_argument(f"--{name}", type=partial(parse_channels, above=above), metavar="R,G,B",
                                   help="for values from 0 to 1 (ImageNet's; for timm's mobilenetv1 0.5,0.5,0.5)")
    add_precision_options(parser)
    return parser.parse_args(arguments)


def describe_rows(table: Table) -> str:
    return json.dumps([[int(row.t) if row.t == int(row.t) else row.t, row.c, row.n, row.s] for row in table.rows])


def note(message: str) -> None:
    print(f"convert_torchvision.py: {message}", file=sys.stderr)


def run(options: argparse.Namespace) -> None:
    """Does what the command line asks for. Raises ConversionError, OSError."""
    from mnv2.convert.checkpoint import load_checkpoint
    from mnv2.convert.conversion import Precision, check_output, find_labels, write_network
    from mnv2.convert.fold import FoldError
    from mnv2.convert.labels import IMAGENET_CLASSES

    resize = options.resize
    if options.checkpoint is None:
        name = options.weights or DEFAULT_WEIGHTS
        path, source = download(name, note), f"torchvision MobileNet_V2_Weights.{name}"
        resize = resize or WEIGHTS[name].resize
    else:
        path, source = options.checkpoint, "checkpoint " + os.fsencode(options.checkpoint.name).decode(errors="replace")
    check_output(options.output, path)
    checkpoint = load_checkpoint(path)
    settings = Settings(options.inverted_residual_setting, options.padding, options.activation, options.bn_eps)
    wishes = PreprocessingWishes(resize, options.crop, options.interpolation, options.mean, options.std)
    try:
        recognised = recognise(checkpoint.tensors, settings, options.arch)
        preprocessing = choose_preprocessing(recognised.layout, wishes)
        recognised = replace(recognised, architecture=settle_outputs(recognised.architecture, options.output_activation))
        labels = find_labels(options.labels, recognised.architecture)
        if labels is None and recognised.architecture.outputs == 1000:
            note(f"no labels: there is no {IMAGENET_CLASSES}, which has the names of ImageNet's classes; use --labels FILE")
        converted = write_network(options.output, checkpoint.tensors, recognised, preprocessing, labels, source,
                                  Precision(options.dtype, options.calibrate), checkpoint.sha256)
    except (FoldError, HeadError, LayoutError) as error:
        raise ConversionError(f"{path}: {error}") from None
    report(converted, source, options)


def report(converted: Converted, source: str, options: argparse.Namespace) -> None:
    """Says what was found, what was assumed, and what was written."""
    architecture, table, preprocessing = converted.architecture, converted.recognised.table, converted.preprocessing
    outputs = (f"features only, {architecture.layers()[-1][1].out_channels} of them" if architecture.classifier is None else
               f"{architecture.classes} classes, "
               f"{'no' if converted.labels is None else len(converted.labels)} labels")
    note(f"{source}: {converted.recognised.layout.title}, {len(architecture.blocks)} blocks ({table.origin}), {outputs}")
    note(f"a checkpoint does not say: {converted.recognised.activation} (--activation), {options.padding} padding (--padding), BatchNorm "
         f"eps {options.bn_eps:g} (--bn-eps), strides {','.join(map(str, table.strides))} (--inverted-residual-setting)")
    if converted.recognised.activation_note:
        note(converted.recognised.activation_note)
    if table.assumed:
        note(f"warning: a checkpoint does not hold the strides; assumed {describe_rows(table)} as [t, c, n, s] "
             "with the channels c of this network; if it was built otherwise, use --inverted-residual-setting")
    for line in converted.notes:
        note(line)
    note(f"wrote {converted.output}: {converted.bytes} bytes, {converted.parameters} parameters, resize "
         f"{preprocessing.resize}, crop {preprocessing.crop}, {preprocessing.interpolation}; read back and compared")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
    if arguments is None:
        need("numpy", *["PIL"] * (options.calibrate is not None))
    try:
        run(options)
    except ConversionError as error:
        note(str(error))
    except OSError as error:
        note(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    else:
        return 0
    return 1
