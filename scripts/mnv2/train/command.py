"""Trains a classifier on a folder with a folder of images for each class, and makes it a model file.

DATA has a folder for each class, of which a part is held out for validation; or DATA/train and DATA/val, each with a
folder for each class. OUTPUT gets model.safetensors, best.pth (a state_dict), curves.png, history.json, and last.pt for
--resume. In the end the program must give PyTorch's answer for every validation image.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Optional, Sequence

from mnv2.convert.architecture import ConversionError
from mnv2.interpreter import need

ARCHITECTURES = ("mobilenet_v1", "mobilenet_v2")


def number(text: str, kind: type, low: float, high: float) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r}, expected {low} to {high}")
    return value


def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__.split("\n\n")[0],
                                     epilog=__doc__.split("\n\n", 1)[1], allow_abbrev=False)
    whole = lambda low, high: partial(number, kind=int, low=low, high=high)  # noqa: E731
    real = lambda low, high: partial(number, kind=float, low=low, high=high)  # noqa: E731
    parser.add_argument("data", type=Path, metavar="DATA", help="a folder with a folder of images for each class")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a new folder, or with --resume that of the run")
    parser.add_argument("--val-fraction", type=real(0.01, 0.9), default=0.15, metavar="F",
                        help="held out for validation, where DATA has no val (default: 0.15)")
    parser.add_argument("--resume", action="store_true", help="go on where OUTPUT/last.pt was written")

    network = parser.add_argument_group("network")
    network.add_argument("--arch", choices=ARCHITECTURES, default="mobilenet_v2")
    network.add_argument("--width", type=real(0.05, 4), default=1.0, metavar="W", help="multiplier (default: 1.0)")
    network.add_argument("--input-size", type=whole(32, 1024), default=224, metavar="N", help="pixels (default: 224)")
    network.add_argument("--resize", type=whole(32, 2048), metavar="N",
                         help="the short side before the crop, pixels (default: the input size times 8/7)")
    network.add_argument("--dropout", type=real(0, 0.9), default=0.2, metavar="P", help="(default: 0.2)")
    network.add_argument("--init", type=Path, metavar="FILE",
                         help="fine-tune the features of this state_dict, e.g. torchvision's mobilenet_v2")
    network.add_argument("--freeze", action="store_true", help="train the classifier alone; needs --init")

    recipe = parser.add_argument_group("recipe")
    recipe.add_argument("--epochs", type=whole(1, 10000), default=30, metavar="N", help="(default: 30)")
    recipe.add_argument("--batch", type=whole(2, 4096), default=32, metavar="N", help="(default: 32)")
    recipe.add_argument("--learning-rate", type=real(1e-7, 10), metavar="R",
                        help="of AdamW at its highest (default: 0.002, with --init 0.0005)")
    recipe.add_argument("--warmup", type=real(0, 100), default=1, metavar="E", help="epochs (default: 1)")
    recipe.add_argument("--weight-decay", type=real(0, 1), default=0.05, metavar="D", help="(default: 0.05)")
    recipe.add_argument("--label-smoothing", type=real(0, 0.5), default=0.1, metavar="S", help="(default: 0.1)")
    recipe.add_argument("--augment", type=real(0, 1), default=0.7, metavar="A",
                        help="0: none, 1: strong crops and colours (default: 0.7)")
    recipe.add_argument("--flip", type=real(0, 1), default=0.5, metavar="P",
                        help="how often images are mirrored; 0 where left and right matter (default: 0.5)")
    recipe.add_argument("--recolor", type=real(0, 1), default=0, metavar="P",
                        help="how often red, green and blue change places, or the image becomes its negative; for "
                             "drawings, whose colours tell nothing (default: 0)")
    recipe.add_argument("--seed", type=whole(0, 2**31), default=1, metavar="N", help="(default: 1)")

    machine = parser.add_argument_group("machine")
    machine.add_argument("--threads", type=whole(1, 1024), metavar="N", help="PyTorch's (default: its own choice)")
    machine.add_argument("--workers", type=whole(0, 256), default=0, metavar="N",
                         help="processes that read images (default: 0)")
    machine.add_argument("--program", type=Path, metavar="FILE",
                         help="mnv2-classify, for the check in the end (default: build/mnv2-classify, or $PATH's)")
    options = parser.parse_args(arguments)
    if options.freeze and options.init is None:
        parser.error("--freeze: needs --init, weights that are worth keeping")
    if options.resize is not None and options.resize < options.input_size:
        parser.error(f"--resize: {options.resize}, expected at least the input size, {options.input_size}")
    return options


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
    if arguments is None:
        need("torch", "torchvision", "PIL", "matplotlib")
    from mnv2.train.run import Failure, TreeError, say, train

    try:
        train(options)
        return 0
    except (Failure, TreeError, ConversionError) as error:  # a checkpoint's is one of the last
        message = str(error)
    except OSError as error:
        message = f"{error.filename or options.output}: {error.strerror or error}"
    except KeyboardInterrupt:
        say("train.py: stopped; --resume goes on after the last whole epoch")
        return 130
    print(f"train.py: {message}", file=sys.stderr)
    return 1
