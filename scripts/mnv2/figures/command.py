"""Draws images of 14 kinds of figures and pages into folders named after them, to train a classifier on and to test it.

OUTPUT/train, OUTPUT/val and OUTPUT/test differ in fonts, colours, colour maps and shapes, not in numbers alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Optional, Sequence

from mnv2.figures.kinds import KINDS
from mnv2.figures.styles import SPLITS
from mnv2.interpreter import need

MAX_SEED = 2**32 - 1


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


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
    if arguments is None:
        need("matplotlib", "PIL", "qrcode")
    from mnv2.figures.codes import ToolError
    from mnv2.figures.make import Task, make, missing

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
