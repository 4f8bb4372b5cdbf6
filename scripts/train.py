#!/usr/bin/env python3
"""Trains a classifier on a folder with a folder of images for each class, and makes it a model file.

DATA has a folder for each class, of which a part is held out for validation; or DATA/train and DATA/val, each with a
folder for each class. OUTPUT gets model.safetensors, best.pth (a state_dict), curves.png, history.json, and last.pt for
--resume. In the end the program must give PyTorch's answer for every validation image.
"""

from __future__ import annotations

if __name__ == "__main__":
    import mnv2_interpreter
    mnv2_interpreter.need("torch", "torchvision", "PIL", "matplotlib")

import argparse
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Optional, Sequence

import torch

from mnv2_convert import PreprocessingWishes, convert
from mnv2_model_file import ConversionError
from mnv2_train_data import Augmentation, Images, Sizes, Tree, TreeError, load_image, read_tree
from mnv2_train_loop import Recipe, Trainer
from mnv2_train_networks import ARCHITECTURES, features_of, load_features, make_network

ROOT = Path(__file__).resolve().parent.parent


class Failure(Exception):
    """Ends the run with a message."""


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


def prepare_output(options: argparse.Namespace) -> None:
    output = options.output
    if options.resume:
        if not (output / "last.pt").is_file():
            raise Failure(f"{output}: no last.pt, nothing to go on from; leave --resume out")
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise Failure(f"{output}: not an empty folder; name a new one, or --resume")
    output.mkdir(parents=True, exist_ok=True)


def check_images(tree: Tree) -> None:
    """Every image is read once: a broken one is better found now than in the third hour."""
    problems = []
    for path, _ in tree.train + tree.val:
        try:
            load_image(path)
        except TreeError as error:
            problems.append(str(error))
    if problems:
        more = f"\n... and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise Failure("\n".join(problems[:5]) + more + "\nmend or remove them")


def find_program(given: Optional[Path]) -> Optional[Path]:
    for path in [given] if given else [ROOT / "build" / "mnv2-classify", shutil.which("mnv2-classify")]:
        if path and os.access(path, os.X_OK):
            return Path(path)
    if given:
        raise Failure(f"{given}: no program to run")
    return None


def program_predictions(program: Path, model: Path, images: Sequence[Path]) -> list[Optional[int]]:
    """The program's most probable class of each image, None where it gives none."""
    listed = b"".join(os.fsencode(path) + b"\0" for path in images)
    run = subprocess.run([program, "-q", "-m", model, "-k", "1", "-f", "jsonl", "--no-exif", "-0", "-"], input=listed,
                         stdout=subprocess.PIPE)
    records = [json.loads(line) for line in run.stdout.decode().splitlines()]
    if len(records) != len(images):
        raise Failure(f"{program}: {len(records)} records for {len(images)} images, exit status {run.returncode}")
    return [record["top"][0]["index"] if record["status"] == "ok" else None for record in records]


def check_agreement(program: Path, model: Path, tree: Tree, expected: Sequence[int]) -> None:
    found = program_predictions(program, model, [path for path, _ in tree.val])
    differing = [(path, want, got) for (path, _), want, got in zip(tree.val, expected, found) if want != got]
    for path, want, got in differing[:20]:
        name = "no answer" if got is None else tree.classes[got]
        print(f"{path}: PyTorch says {tree.classes[want]}, the program {name}", file=sys.stderr)
    if differing:
        raise Failure(f"the program differs from PyTorch on {len(differing)} of {len(expected)} validation images")
    say(f"the program's answers equal PyTorch's on all {len(expected)} validation images")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def train(options: argparse.Namespace) -> None:
    tree = read_tree(options.data, options.val_fraction)
    prepare_output(options)
    program = find_program(options.program)
    check_images(tree)
    say(f"{len(tree.classes)} classes, {len(tree.train)} images to train on, {len(tree.val)} to validate")

    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    network = make_network(options.arch, len(tree.classes), options.width, options.dropout)
    if options.init:
        say(f"{load_features(network, options.init)} tensors from {options.init}")
    sizes = Sizes(resize=options.resize or options.input_size * 8 // 7, crop=options.input_size)
    augmentation = Augmentation(options.augment, options.flip, options.recolor)
    recipe = Recipe(network=f"{options.arch}, width {options.width}, dropout {options.dropout}",
                    images=f"{len(tree.train)} to train on, {len(tree.val)} to validate, {sizes}, {augmentation}",
                    classes=tuple(tree.classes), epochs=options.epochs, batch=options.batch,
                    learning_rate=options.learning_rate or (0.0005 if options.init else 0.002),
                    warmup_epochs=options.warmup, weight_decay=options.weight_decay,
                    label_smoothing=options.label_smoothing, freeze=options.freeze, seed=options.seed)
    trainer = Trainer(network, features_of(network),
                      Images(tree.train, sizes, options.seed, augmentation), Images(tree.val, sizes, options.seed),
                      recipe, options.output, options.workers)
    if options.resume:
        try:
            trainer.resume()
        except ValueError as error:
            raise Failure(f"--resume: {options.output} was trained by another recipe: {error}") from None
    trainer.run(say)

    network.load_state_dict(torch.load(options.output / "best.pth")["state_dict"])
    network.eval()
    model = options.output / "model.safetensors"
    convert(network, torch.zeros(1, 3, sizes.crop, sizes.crop), model, arch=None,
            labels=[name.replace("_", " ") for name in tree.classes],
            wishes=PreprocessingWishes(resize=sizes.resize, crop=sizes.crop, interpolation="bilinear"),
            source=f"trained on {options.data.name} by scripts/train.py")
    best = trainer.history[trainer.best]
    say(f"wrote {model}: epoch {trainer.best + 1}, {100 * best.val_top1:.2f} % of the validation images")
    if program is None:
        say("no mnv2-classify found, so its answers were not compared with PyTorch's; --program names it")
    else:
        check_agreement(program, model, tree, trainer.predictions())


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
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


if __name__ == "__main__":
    sys.exit(main())
