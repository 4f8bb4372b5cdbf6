"""Finds the table of (t, c, n, s) rows a chain of inverted residuals was built from (Sandler et al. 2018, Table 2).

Shapes give t, c and n, but never the stride s: a 3x3 depthwise filter has the same shape for both strides. So the
strides come from the published network's table wherever the chain can be matched to it, or from the user.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Optional, Sequence


@dataclass(frozen=True)
class Row:
    """t: expansion factor, c: channels before scaling, n: blocks, s: stride of the first block."""

    t: float
    c: int
    n: int
    s: int


@dataclass(frozen=True)
class BlockShape:
    """Channels of one block, as its tensors have them; without an expanding layer hidden equals in_c.

    Some networks have an expanding layer even where the expansion factor is 1.
    """

    in_c: int
    hidden: int
    out_c: int
    expanded: bool


@dataclass(frozen=True)
class Table:
    """The strides of the blocks, the rows they come from (c as in the network), and where that knowledge comes from.

    `assumed` is True when the shapes allow another answer that is about as likely.
    """

    strides: tuple[int, ...]
    rows: tuple[Row, ...]
    origin: str
    assumed: bool


class TableError(Exception):
    """A table that does not fit the blocks."""


DEFAULT_ROWS = (Row(1, 16, 1, 1), Row(6, 24, 2, 2), Row(6, 32, 3, 2), Row(6, 64, 4, 2), Row(6, 96, 3, 1),
                Row(6, 160, 3, 2), Row(6, 320, 1, 1))
STEM_CHANNELS = 32
LAST_CHANNELS = 1280
TRUNCATED = 0  # in place of a round_nearest
# MobileNetV1's blocks (Howard et al. 2017, Table 1): channels before scaling, stride.
SEPARABLE_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


def make_divisible(value: float, divisor: int) -> int:
    """torchvision's rounding of channel counts: to the nearest multiple, but never down by more than 10 %."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def scale(value: float, divisor: int) -> int:
    """make_divisible; divisor TRUNCATED stands for networks that only drop what comes after the decimal point."""
    return int(value) if divisor == TRUNCATED else make_divisible(value, divisor)


def fit_scaling(channels: Sequence[tuple[int, int]], last: Optional[int] = None,
                truncated: bool = False) -> Optional[tuple[float, int]]:
    """The (width_mult, round_nearest) that scale each (unscaled, scaled) pair, and 1280 to `last`; None if none do.

    With `truncated`, TRUNCATED is the first round_nearest that is tried.
    """
    common = math.gcd(last or 0, *(scaled for _, scaled in channels))
    divisors = sorted((d for d in range(1, common + 1) if common % d == 0), key=lambda d: (d != 8, d))  # torchvision's own first
    for divisor in [TRUNCATED] * truncated + divisors:
        def scales(width: float) -> bool:
            return (all(scale(c * width, divisor) == scaled for c, scaled in channels) and
                    last in (None, scale(LAST_CHANNELS * max(1.0, width), divisor)))

        # make_divisible grows with the width, so the smallest width that is enough for every layer is too much for
        # some layer unless it is right for all.
        lowest = max(_smallest_width(c, scaled, divisor) for c, scaled in channels)
        if last is not None and last > scale(LAST_CHANNELS, divisor):
            lowest = max(lowest, _smallest_width(LAST_CHANNELS, last, divisor))
        if scales(lowest):
            # Every width from `lowest` to some other gives these channels; people choose 0.25, 0.35, 0.75, 1.4.
            plain = (math.ceil(lowest * steps) / steps for steps in (4, 10, 20, 100, 10 ** 3, 10 ** 4, 10 ** 5, 10 ** 6))
            return next((width for width in plain if scales(width)), lowest), divisor
    return None


def _smallest_width(unscaled: int, scaled: int, divisor: int) -> float:
    low, high = 0.0, (scaled + max(divisor, 1)) / unscaled
    for _ in range(60):
        middle = (low + high) / 2
        if scale(unscaled * middle, divisor) >= scaled:
            high = middle
        else:
            low = middle
    return high


def find_table(stem: int, blocks: Sequence[BlockShape], last: int, truncated: bool = False) -> Table:
    """The most likely table of `blocks`, which follow a stem of `stem` channels and end in a head of `last`.
    `truncated`: the network scales channels without rounding.

    In this order: the default table or its first rows, at any scaling; the default's pattern of blocks with other
    channels; seven rows of other lengths; rows chosen out of the default table; rows of other lengths of which some
    became equally wide; else the default strides 1, 2, 2, 2, 1, 2, 1 by position, and 1 after the seventh row.
    """
    for count in range(len(DEFAULT_ROWS), 0, -1):
        rows = DEFAULT_ROWS[:count]
        if _misfit(rows, blocks) is not None:
            continue
        scaled = _scaled_rows(rows, blocks)
        fit = fit_scaling([(STEM_CHANNELS, stem)] + [(r.c, s.c) for r, s in zip(rows, scaled)], last, truncated)
        if fit is not None:
            first = "" if count == len(DEFAULT_ROWS) else f"first {count} rows of the "
            return _table(scaled, f"{first}default table, {_describe(fit)}", False)
        if count == len(DEFAULT_ROWS):
            return _table(scaled, "default table with other channels", True)
    rows = _group(blocks)
    defaults = [row.s for row in DEFAULT_ROWS]
    if len(rows) != len(DEFAULT_ROWS):
        chosen = _strides_of_chosen_rows(stem, rows, last)
        if chosen is not None:
            return _table(_with_strides(rows, chosen), "rows of the default table", True)
        split = _split_merged_rows(stem, rows, last)
        if split is not None:
            return _table(split, "default table with other lengths, some rows equally wide", True)
    strides = defaults[:len(rows)] + [1] * (len(rows) - len(defaults))
    return _table(_with_strides(rows, strides), "default strides by position", True)


def find_separable_table(stem: int, blocks: Sequence[BlockShape]) -> Table:
    """The most likely table of MobileNetV1's `blocks`: the published strides when there are as many blocks; else stride
    2 wherever the channels change, except in the first block, which is where the published network has it.
    """
    if len(blocks) == len(SEPARABLE_BLOCKS):
        strides = [stride for _, stride in SEPARABLE_BLOCKS]
        pairs = [(STEM_CHANNELS, stem)] + [(c, block.out_c) for (c, _), block in zip(SEPARABLE_BLOCKS, blocks)]
        fit = fit_scaling(pairs, truncated=True) or fit_scaling(pairs[1:], truncated=True)  # some keep the stem at 32
        origin, assumed = ("default table with other channels", True) if fit is None else (
            f"default table, {_describe(fit)}", False)
    else:
        strides = [2 if i > 0 and block.in_c != block.out_c else 1 for i, block in enumerate(blocks)]
        origin, assumed = "stride 2 where the channels change", True
    return _table(_merge([Row(1, block.out_c, 1, stride) for block, stride in zip(blocks, strides)]), origin, assumed)


def table_of_stages(stages: Sequence[Sequence[BlockShape]], strides: Sequence[int]) -> Table:
    """The table of a network whose tensors' names tell its stages apart; `strides` are the published network's."""
    known = [*strides[:len(stages)], *[1] * (len(stages) - len(strides))]
    rows = [Row(round(stage[0].hidden / stage[0].in_c, 2), stage[-1].out_c, len(stage), stride)
            for stage, stride in zip(stages, known)]
    return _table(rows, "default strides by stage", len(stages) != len(strides))


def check_table(rows: Sequence[Row], stem: int, blocks: Sequence[BlockShape], last: Optional[int],
                truncated: bool = False) -> Table:
    """The table of `blocks` when the user says that it is `rows`; `last` is None without a head.

    Raises TableError naming the first row that does not fit.
    """
    misfit = _misfit(rows, blocks)
    if misfit is not None:
        raise TableError(misfit)
    scaled = _scaled_rows(rows, blocks)
    pairs = [(STEM_CHANNELS, stem)] + [(r.c, s.c) for r, s in zip(rows, scaled)]
    if fit_scaling(pairs, last, truncated) is None and any(row.c != s.c for row, s in zip(rows, scaled)):
        raise TableError(f"no width_mult and round_nearest make {[s.c for s in scaled]} channels of "
                         f"{[r.c for r in rows]} with a stem of {stem}")
    return _table(scaled, "as given", False)


def _table(rows: Sequence[Row], origin: str, assumed: bool) -> Table:
    strides = tuple(row.s if i == 0 else 1 for row in rows for i in range(row.n))
    return Table(strides, tuple(rows), origin, assumed)


def _misfit(rows: Sequence[Row], blocks: Sequence[BlockShape]) -> Optional[str]:
    """What keeps `rows` from being the table of `blocks`, whatever the channel counts; None when nothing does."""
    total = sum(row.n for row in rows)
    if total != len(blocks):
        return f"the table has {total} blocks, the checkpoint has {len(blocks)}"
    position = 0
    for number, row in enumerate(rows, 1):
        for i, block in enumerate(blocks[position:position + row.n], position + 1):
            hidden = int(round(block.in_c * row.t))
            if block.hidden != hidden or (row.t != 1 and not block.expanded):
                return (f"row {number}, block {i}: {block.hidden} expanded channels of {block.in_c}, "
                        f"expected {hidden} (t = {row.t:g})")
            if block.out_c != blocks[position].out_c:
                return f"row {number}, block {i}: {block.out_c} channels, expected {blocks[position].out_c}"
        position += row.n
    return None


def _scaled_rows(rows: Sequence[Row], blocks: Sequence[BlockShape]) -> list[Row]:
    """`rows` with the channels that `blocks` have."""
    starts = itertools.accumulate((row.n for row in rows), initial=0)
    return [Row(row.t, blocks[start].out_c, row.n, row.s) for row, start in zip(rows, starts)]


def _group(blocks: Sequence[BlockShape]) -> list[Row]:
    """Runs of blocks that keep their channels and expansion factor, as rows; strides are left at 1."""
    groups: list[list[BlockShape]] = []
    for block in blocks:
        head = groups[-1][0] if groups else None
        # hidden is rounded to an integer, so factors agree only within the rounding.
        if (head is not None and block.in_c == block.out_c and block.expanded == head.expanded and
                abs(block.hidden / block.in_c - head.hidden / head.in_c) <= 0.5 / block.in_c + 0.5 / head.in_c):
            groups[-1].append(block)
        else:
            groups.append([block])
    return [Row(round(group[0].hidden / group[0].in_c, 2), group[0].out_c, len(group), 1) for group in groups]


def _merge(rows: Sequence[Row]) -> list[Row]:
    """`rows` with each stride 1 row that only repeats the one before taken into it."""
    merged: list[Row] = []
    for row in rows:
        before = merged[-1] if merged else None
        if before is not None and row.s == 1 and (before.t, before.c) == (row.t, row.c):
            merged[-1] = Row(before.t, before.c, before.n + row.n, before.s)
        else:
            merged.append(row)
    return merged


def _describe(fit: tuple[float, int]) -> str:
    return f"width_mult {fit[0]:g}, " + ("channels not rounded" if fit[1] == TRUNCATED else f"round_nearest {fit[1]}")


def _with_strides(rows: Sequence[Row], strides: Sequence[int]) -> list[Row]:
    return [Row(row.t, row.c, row.n, stride) for row, stride in zip(rows, strides)]


def _strides_of_chosen_rows(stem: int, rows: Sequence[Row], last: int) -> Optional[list[int]]:
    """Strides when `rows` have the channels of some rows of the default table, so that each keeps its resolution there.

    None when no choice fits, or when choices with different strides do.
    """
    reductions = list(itertools.accumulate((row.s for row in DEFAULT_ROWS), lambda a, b: a * b))
    found: set[tuple[int, ...]] = set()
    for chosen in itertools.combinations(range(len(DEFAULT_ROWS)), len(rows)):
        pairs = [(DEFAULT_ROWS[i].c, row.c) for i, row in zip(chosen, rows)]
        if rows[0].t == 1 and chosen[0] != 0:  # only the first row of the default table does not expand
            continue
        if fit_scaling([(STEM_CHANNELS, stem)] + pairs, last) is None:
            continue
        levels = [1] + [reductions[i] for i in chosen]
        steps = tuple(after // before for before, after in zip(levels, levels[1:]))
        if max(steps) <= 2:
            found.add(steps)
    return list(found.pop()) if len(found) == 1 else None


def _split_merged_rows(stem: int, rows: Sequence[Row], last: int) -> Optional[list[Row]]:
    """The default table (or its first rows) with other lengths n, when scaling made some neighbours equally wide.

    Such neighbours are one run in `rows`; it is divided as the default table divides them. None when nothing fits.
    """
    for count in range(len(DEFAULT_ROWS), len(rows), -1):
        for cuts in itertools.combinations(range(1, count), len(rows) - 1):
            bounds = (0, *cuts, count)
            parts = [DEFAULT_ROWS[begin:end] for begin, end in zip(bounds, bounds[1:])]
            pairs = [(part.c, row.c) for row, merged in zip(rows, parts) for part in merged]
            # As many blocks as rows at least, and rows that do not expand are no part of those that do.
            if (all(row.n >= len(merged) and all((part.t == 1) == (row.t == 1) for part in merged)
                    for row, merged in zip(rows, parts)) and
                    fit_scaling([(STEM_CHANNELS, stem)] + pairs, last) is not None):
                return [piece for row, merged in zip(rows, parts) for piece in _divide(row, merged)]
    return None


def _divide(row: Row, merged: Sequence[Row]) -> list[Row]:
    """`row` as one piece for each of `merged`, with lengths in the same proportion, at least 1, and their strides."""
    pieces: list[Row] = []
    left, weight = row.n, sum(part.n for part in merged)
    for position, part in enumerate(merged, 1):
        others = len(merged) - position  # pieces still to come, a block each
        n = min(max(round(left * part.n / weight), 1), left - others)
        pieces.append(Row(row.t, row.c, n, part.s))
        left, weight = left - n, weight - part.n
    return pieces
