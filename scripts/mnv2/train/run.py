"""One run of train.py: reads the images, trains, writes the model file, and compares the program's answers with PyTorch's."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional, Sequence

import torch

from mnv2.convert.module import convert
from mnv2.convert.preprocessing import PreprocessingWishes
from mnv2.train.data import Augmentation, Images, Sizes, Tree, TreeError, load_image, read_tree
from mnv2.train.loop import Recipe, Trainer
from mnv2.train.networks import features_of, load_features, make_network

ROOT = Path(__file__).resolve().parents[3]


class Failure(Exception):
    """Ends the run with a message."""


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
