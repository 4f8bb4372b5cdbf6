"""A progress bar on stderr when people look at it, and nothing otherwise."""

from __future__ import annotations

import sys
from typing import Iterable, Iterator, TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """`items`, with a bar (tqdm's, where it is installed) while they are taken, if stderr is a terminal."""
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            yield from tqdm(items, total=total, desc=what, leave=False, dynamic_ncols=True)
            return
    yield from items
