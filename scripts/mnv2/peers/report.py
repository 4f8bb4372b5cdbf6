"""What compare_peers.py prints and writes: a Markdown table, JSON, and the bars of the chart."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional, Sequence

from mnv2.peers.chart import Bar, Group
from mnv2.peers.cold import ColdResult
from mnv2.peers.contestants import Missing
from mnv2.peers.inference import InferenceResult
from mnv2.peers.machine import BUSY_SHARE, Machine
from mnv2.peers.statistics import Measured, baseline_of, summarise

HEADINGS = ("threads", "engine", "min ms", "median ms", "p90 ms", "ratio of medians", "ratio by rounds (quartiles)",
            "speed-up by threads")
COLD_HEADINGS = ("peak MB", "program", "min ms", "median ms", "p90 ms", "ratio of medians", "ratio by rounds (quartiles)")


@dataclasses.dataclass(frozen=True)
class Circumstances:
    """Where and how the numbers came about."""

    machine: Machine
    date: str  # ISO 8601
    model: str
    size: str  # of the input, e.g. 224x224
    rounds: int
    runs_per_round: int
    load_average: Optional[Sequence[float]]  # before the start
    busy_before: Optional[float]  # the share of the CPUs that others used
    busy_during: Optional[float]


def engine_name(measured: Measured) -> str:
    """With its version, as tables and charts show it."""
    name, bracket, rest = measured.name.partition(" (")
    return f"{name} {measured.version}{bracket}{rest}" if not measured.ours else measured.name


def thread_words(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def by_threads(everyone: Sequence[Measured]) -> list[tuple[int, list[Measured]]]:
    """Grouped by thread count, fewest first, in the order of the contestants."""
    counts = sorted({measured.threads for measured in everyone})
    return [(count, [measured for measured in everyone if measured.threads == count]) for count in counts]


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned, so that it also reads well as plain text; the second column is text, the others numbers."""
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    rule = ["-" * width if column == 1 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    lines = [[cell.ljust(width) if column == 1 else cell.rjust(width)
              for column, (cell, width) in enumerate(zip(row, widths))] for row in [headings, rule, *rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def inference_table(everyone: Sequence[Measured]) -> str:
    rows = []
    for count, group in by_threads(everyone):
        for measured in group:
            s = summarise(measured, everyone)
            rows.append((str(count), engine_name(measured), f"{s.min_ms:.2f}", f"{s.median_ms:.2f}", f"{s.p90_ms:.2f}",
                         f"{s.ratio_of_medians:.2f}",
                         f"{s.round_ratio:.2f} ({s.round_ratio_quartiles[0]:.2f}-{s.round_ratio_quartiles[1]:.2f})",
                         "" if s.speedup is None else f"{s.speedup:.2f}"))
    return markdown_table(HEADINGS, rows)


def percent(share: Optional[float]) -> str:
    return "unknown" if share is None else f"{100 * share:.0f} %"


def circumstance_lines(c: Circumstances) -> list[str]:
    load = "unknown" if c.load_average is None else " ".join(f"{number:.2f}" for number in c.load_average)
    return [f"{c.machine.cpu}, {c.machine.cpus} CPUs, {c.machine.system}; {c.date}",
            f"{c.model}, {c.size}, float32, one image at a time; {c.rounds} rounds in turn, "
            f"{c.runs_per_round} runs per contestant and round; peers with their default settings",
            f"load average before: {load}; CPU used by other processes: {percent(c.busy_before)} before, "
            f"{percent(c.busy_during)} meanwhile"]


def warnings(c: Circumstances, restless: Sequence[str]) -> list[str]:
    """What makes the numbers doubtful."""
    lines = []
    if max(c.busy_before or 0.0, c.busy_during or 0.0) > BUSY_SHARE:
        lines.append("the machine is busy with other things: prefer the ratio by rounds, and repeat when it is idle")
    lines += [f"{name}: still used CPU time long after its turns, which slows down who follows" for name in restless]
    return lines


def cold_table(cold: ColdResult) -> str:
    rows = []
    for measured, peak_mb in zip(cold.measured, cold.peak_mb):
        s = summarise(measured, cold.measured)
        rows.append((f"{peak_mb:.0f}", measured.name, f"{s.min_ms:.1f}", f"{s.median_ms:.1f}", f"{s.p90_ms:.1f}",
                     f"{s.ratio_of_medians:.2f}",
                     f"{s.round_ratio:.2f} ({s.round_ratio_quartiles[0]:.2f}-{s.round_ratio_quartiles[1]:.2f})"))
    return markdown_table(COLD_HEADINGS, rows)


def cold_report(cold: ColdResult) -> str:
    """The cold start section, as Markdown."""
    runs, threads = len(cold.measured[0].rounds_ms), thread_words(cold.measured[0].threads)
    return (f"Cold start: whole processes for {cold.photo}, {threads}, {runs} times each in turn; files in the page cache; "
            f"all say that it is class {cold.index}\n\n{cold_table(cold)}")


def text_report(c: Circumstances, result: InferenceResult, missing: Sequence[Missing],
                cold: Optional[ColdResult] = None) -> str:
    """Everything that goes to stdout, as Markdown."""
    agreements = [f"{a.image} image: all logits agree to {a.difference:.1e} of the largest "
                  f"({a.pair[0]} and {a.pair[1]})" for a in result.agreements]
    details = [f"{measured.name}: {measured.version}, {measured.detail}" for _, group in by_threads(result.measured)[:1]
               for measured in group]
    lines = [*circumstance_lines(c), *details, *agreements, *map(str, missing),
             *(f"**Warning**: {line}" for line in warnings(c, result.restless))]
    explanation = ("Ratios are to the first engine of the same thread count: 2 takes twice its time. By rounds: the "
                   "median over rounds of the ratio within a round, which holds when the clock drifts.")
    sections = [inference_table(result.measured), explanation, *([cold_report(cold)] if cold else []),
                "\n".join(f"- {line}" for line in lines)]
    return "\n\n".join(sections)


def json_cold(cold: ColdResult) -> dict[str, Any]:
    programs = [{**dataclasses.asdict(measured), **dataclasses.asdict(summarise(measured, cold.measured)),
                 "peak_mb": peak_mb} for measured, peak_mb in zip(cold.measured, cold.peak_mb)]
    return {"photo": cold.photo, "index": cold.index, "programs": programs}


def json_report(c: Circumstances, result: InferenceResult, missing: Sequence[Missing],
                cold: Optional[ColdResult] = None) -> dict[str, Any]:
    """The same with every single time. Further sections get keys of their own beside `inference`."""
    contestants = [{**dataclasses.asdict(measured), **dataclasses.asdict(summarise(measured, result.measured))}
                   for measured in result.measured]
    return {"format": "mnv2-compare-peers", "format_version": 1, "circumstances": dataclasses.asdict(c),
            "missing": [dataclasses.asdict(one) for one in missing], "warnings": warnings(c, result.restless),
            "inference": {"contestants": contestants,
                          "agreements": [dataclasses.asdict(agreement) for agreement in result.agreements]},
            **({"cold_start": json_cold(cold)} if cold else {})}


def chart_groups(everyone: Sequence[Measured]) -> list[Group]:
    """Per thread count: ours first, then the peers, fastest first."""
    groups = []
    for count, group in by_threads(everyone):
        summaries = {measured.name: summarise(measured, everyone) for measured in group}
        first = baseline_of(group[0], everyone)
        bars = []
        for measured in sorted(group, key=lambda measured: (not measured.ours, summaries[measured.name].median_ms)):
            summary = summaries[measured.name]
            note = "" if measured is first else f"{summary.round_ratio:.2f} x"
            bars.append(Bar(engine_name(measured), summary.median_ms, note, measured.ours, measured is first))
        groups.append(Group(thread_words(count), bars))
    return groups


def cold_chart_group(cold: ColdResult) -> Group:
    """Ours first, then the peers, fastest first."""
    bars = []
    for measured in cold.measured:
        summary, first = summarise(measured, cold.measured), measured is cold.measured[0]
        bars.append(Bar(measured.name, summary.median_ms, "" if first else f"{summary.round_ratio:.2f} x", measured.ours,
                        first))
    bars.sort(key=lambda bar: (not bar.ours, bar.value_ms))
    return Group(f"Cold start: the whole process for one photo, {thread_words(cold.measured[0].threads)} (a scale of its own)",
                 bars, own_scale=True)
