"""Draws each image of a set, in several processes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Iterable, Optional, Sequence

import numpy as np

from mnv2.figures.charts import CHARTS, draw_chart
from mnv2.figures.codes import CODES
from mnv2.figures.effects import encode, spoil
from mnv2.figures.kinds import KINDS
from mnv2.figures.pages import PAGES
from mnv2.figures.styles import FONT_PACKAGES, SPLITS, missing_fonts
from mnv2.progress import progress

TOOLS = {"dot": "graphviz", "zint": "zint"}


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
