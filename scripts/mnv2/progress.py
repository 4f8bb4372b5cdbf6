"""A progress bar on stderr when people look at it, and nothing otherwise."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Iterable, Iterator, TypeVar

Item = TypeVar("Item")
BAR = 30  # characters
INTERVAL = 0.1  # seconds between two bars


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """`items`; while they are taken, a bar with the count, the rate and the time left, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    start = drawn = time.monotonic()
    _draw(what, 0, total, 0)
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now >= drawn + INTERVAL or done == total:
            drawn = now
            _draw(what, done, total, now - start)
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()


def _draw(what: str, done: int, total: int, seconds: float) -> None:
    filled = BAR * done // max(1, total)
    line = f"{what} [{'#' * filled}{'.' * (BAR - filled)}] {done}/{total}"
    if done and seconds > 0:
        left = round(seconds / done * (total - done))
        line += f", {done / seconds:.1f}/s, {left // 60}:{left % 60:02d} left"
    sys.stderr.write("\r" + line[:shutil.get_terminal_size().columns - 1] + "\x1b[K")
    sys.stderr.flush()
