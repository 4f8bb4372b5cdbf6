"""What the times of compare_peers.py say: order statistics and ratios to our engine."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Optional, Sequence


@dataclass
class Measured:
    """One contestant with one thread count, and its times."""

    name: str
    threads: int
    ours: bool
    version: str = ""
    detail: str = ""
    rounds_ms: list[list[float]] = field(default_factory=list)  # [round][run]


@dataclass(frozen=True)
class Summary:
    min_ms: float
    median_ms: float
    p90_ms: float
    ratio_of_medians: float  # this contestant's median over our engine's, with as many threads: 2 is half as fast
    round_ratio: float  # the median over rounds of the same ratio within each round, which holds when the clock drifts
    round_ratio_quartiles: tuple[float, float]
    speedup: Optional[float]  # from this contestant's fewest threads, by rounds; None for the fewest


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile with linear interpolation, as numpy's default."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def round_ratios(numerator: Measured, denominator: Measured) -> list[float]:
    """The ratio of the two medians in each round."""
    return [statistics.median(a) / statistics.median(b) for a, b in zip(numerator.rounds_ms, denominator.rounds_ms)]


def baseline_of(measured: Measured, everyone: Sequence[Measured]) -> Measured:
    """Our engine's first contestant with as many threads."""
    return next(other for other in everyone if other.ours and other.threads == measured.threads)


def summarise(measured: Measured, everyone: Sequence[Measured]) -> Summary:
    """The statistics of one of `everyone`."""
    times_ms = [ms for one_round in measured.rounds_ms for ms in one_round]
    baseline = baseline_of(measured, everyone)
    baseline_ms = [ms for one_round in baseline.rounds_ms for ms in one_round]
    ratios = round_ratios(measured, baseline)
    fewest = min((other for other in everyone if other.name == measured.name), key=lambda other: other.threads)
    speedup = None if fewest is measured else statistics.median(round_ratios(fewest, measured))
    return Summary(min(times_ms), statistics.median(times_ms), quantile(times_ms, 0.9),
                   statistics.median(times_ms) / statistics.median(baseline_ms), statistics.median(ratios),
                   (quantile(ratios, 0.25), quantile(ratios, 0.75)), speedup)


def largest_difference(a: Sequence[float], b: Sequence[float]) -> float:
    """max |a - b| over max |logit| of either; infinite when they cannot be compared."""
    scale = max((abs(value) for value in [*a, *b]), default=0.0)
    if len(a) != len(b) or not all(math.isfinite(value) for value in [*a, *b]):
        return math.inf
    difference = max((abs(x - y) for x, y in zip(a, b)), default=math.inf)
    return difference / scale if scale > 0 else difference
