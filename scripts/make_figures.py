#!/usr/bin/env python3
"""Draws images of 14 kinds of figures and pages into folders named after them, to train a classifier on and to test it.

OUTPUT/train, OUTPUT/val and OUTPUT/test differ in fonts, colours, colour maps and shapes, not in numbers alone.
"""

from __future__ import annotations

if __name__ == "__main__":
    import mnv2_interpreter
    mnv2_interpreter.need("matplotlib", "PIL", "qrcode")

import argparse
import os
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Iterable, Optional, Sequence

import numpy as np

from mnv2_figures_charts import CHARTS, draw_chart
from mnv2_figures_codes import CODES, ToolError
from mnv2_figures_effects import encode, spoil
from mnv2_figures_pages import PAGES
from mnv2_figures_styles import FONT_PACKAGES, SPLITS, missing_fonts
from mnv2_progress import progress

KINDS = tuple(sorted((*CHARTS, *CODES, *PAGES), key=str.lower))
TOOLS = {"dot": "graphviz", "zint": "zint"}
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Task:
    """One image to draw; its numbers alone decide what it shows."""

    seed: int
    split: str
    kind: str
    index: int


def draw(task: Task) -> tuple[bytes, str]:
    """The image file's bytes and suffix. The same for the same task, whatever was drawn before."""
    place = (list(SPLITS).index(task.split), KINDS.index(task.kind), task.index)
    rng = np.random.default_rng(np.random.SeedSequence([task.seed, *place]))
    styles = SPLITS[task.split]
    if task.kind in CHARTS:
        image = draw_chart(task.kind, rng, styles)
    else:
        image = {**PAGES, **CODES}[task.kind](rng, styles)
    return encode(spoil(image, task.kind, rng, styles), rng)


def draw_to(output: Path, task: Task) -> None:
    data, suffix = draw(task)
    (output / task.split / task.kind / f"{task.index:05d}{suffix}").write_bytes(data)


def parse_count(text: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r}, expected 0 to {most}")
    return int(text)


def parse_kinds(text: str) -> list[str]:
    kinds = [kind.strip() for kind in text.split(",")]
    for kind in kinds:
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(f"no kind {kind!r}, expected some of {', '.join(KINDS)}")
    return list(dict.fromkeys(kinds))


def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make_figures.py", description=__doc__.split("\n\n")[0], allow_abbrev=False)
    count = partial(parse_count, most=99999)
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a new folder, or an empty one")
    parser.add_argument("--train", type=count, default=1000, metavar="N", help="images of each kind (default: 1000)")
    parser.add_argument("--val", type=count, default=60, metavar="N", help="images of each kind (default: 60)")
    parser.add_argument("--test", type=count, default=100, metavar="N", help="images of each kind (default: 100)")
    parser.add_argument("--kinds", type=parse_kinds, default=list(KINDS), metavar="NAME,...",
                        help=f"some of: {', '.join(KINDS)} (default: all)")
    parser.add_argument("--seed", type=partial(parse_count, most=MAX_SEED), default=1, metavar="N",
                        help="other numbers give other images, the same number the same (default: 1)")
    parser.add_argument("--processes", type=partial(parse_count, most=1024), default=len(os.sched_getaffinity(0)),
                        metavar="N", help="images drawn at once (default: one for each CPU)")
    return parser.parse_args(arguments)


def missing() -> Optional[str]:
    """What keeps this machine from drawing; None when all is there."""
    packages = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    fonts = missing_fonts()
    if not packages and not fonts:
        return None
    lacking = [program for program in TOOLS if shutil.which(program) is None] + fonts
    return (f"missing here: {', '.join(lacking)}; on Debian: apt-get install "
            f"{' '.join(packages + list(FONT_PACKAGES if fonts else ()))}")


def make(output: Path, tasks: Sequence[Task], processes: int) -> None:
    for task in tasks:
        (output / task.split / task.kind).mkdir(parents=True, exist_ok=True)
    work = partial(draw_to, output)
    if processes <= 1:
        _drain(map(work, tasks), len(tasks))
        return
    # Spawned, not forked: a process inherits no lock that matplotlib or Pillow held, and draws the same everywhere.
    with get_context("spawn").Pool(processes) as pool:
        _drain(pool.imap_unordered(work, tasks, chunksize=8), len(tasks))


def _drain(results: Iterable[None], total: int) -> None:
    for _ in progress(results, total, "drawing"):
        pass


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
    problem = missing()
    try:
        if problem is None and options.output.exists() and any(options.output.iterdir()):
            problem = f"{options.output}: not empty; name a new folder"
        if problem is None:
            tasks = [Task(options.seed, split, kind, index) for split in SPLITS for kind in options.kinds
                     for index in range(getattr(options, split))]
            make(options.output, tasks, options.processes)
            print(f"make_figures.py: drew {len(tasks)} images of {len(options.kinds)} kinds in {options.output}",
                  file=sys.stderr)
            return 0
    except ToolError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename or options.output}: {error.strerror or error}"
    print(f"make_figures.py: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
