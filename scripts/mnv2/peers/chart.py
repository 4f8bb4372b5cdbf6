"""The chart of compare_peers.py: horizontal bars of median milliseconds, as SVG; as PNG through rsvg-convert.

It stands on a white card of its own, so that it reads the same on light and dark pages.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence
from xml.sax.saxutils import escape

WIDTH, MARGIN = 860, 28  # pixels
BAR_LEFT, BAR_RIGHT = 260, 680
BAR_HEIGHT, BAR_STEP, GROUP_STEP = 20, 30, 34
HEADER_HEIGHT, FOOTER_LINE = 78, 18
OURS, OURS_SECOND, PEER = "#0b7a75", "#5fb3ae", "#9aa5b1"
INK, FAINT, CARD, EDGE = "#1f2933", "#52606d", "#ffffff", "#d2d6dc"
PNG_ZOOM = 2


class ChartError(Exception):
    """The chart cannot be written."""


@dataclass(frozen=True)
class Bar:
    label: str
    value_ms: float
    note: str  # after the value, e.g. how many times our engine's
    ours: bool
    first: bool = False  # the contestant that the others are compared with


@dataclass(frozen=True)
class Group:
    title: str
    bars: Sequence[Bar]
    own_scale: bool = False  # what is not to be compared with the other groups


def text(x: float, y: float, content: str, size: int = 13, fill: str = INK, style: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{fill}"{style}>{escape(content)}</text>'


def draw_bar(bar: Bar, y: float, scale: float) -> list[str]:
    color = OURS if bar.first else OURS_SECOND if bar.ours else PEER
    length = max(1.0, bar.value_ms * scale)
    weight = ' font-weight="600"' if bar.ours else ""
    baseline = y + BAR_HEIGHT / 2 + 4.5
    return [text(BAR_LEFT - 10, baseline, bar.label, style=f' text-anchor="end"{weight}'),
            f'<rect x="{BAR_LEFT}" y="{y:g}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="3" fill="{color}"/>',
            f'<text x="{BAR_LEFT + length + 8:g}" y="{baseline:g}" font-size="13" fill="{INK}"{weight}>'
            f'{bar.value_ms:.2f} ms<tspan dx="10" fill="{FAINT}" font-weight="400">{escape(bar.note)}</tspan></text>']


def scale_of(bars: Sequence[Bar]) -> float:
    """Pixels for a millisecond, so that the longest bar just fits."""
    longest = max((bar.value_ms for bar in bars), default=0.0)
    return (BAR_RIGHT - BAR_LEFT) / longest if longest > 0 else 0.0


def draw_chart(title: str, subtitle: str, groups: Sequence[Group], footer: Sequence[str]) -> str:
    """The SVG text. Bars share one scale, so that groups compare, but for groups with their own."""
    shared = scale_of([bar for group in groups if not group.own_scale for bar in group.bars])
    parts = [text(MARGIN, 38, title, 18, style=' font-weight="600"'), text(MARGIN, 60, subtitle, 13, FAINT)]
    y: float = HEADER_HEIGHT
    for group in groups:
        parts.append(text(MARGIN, y + 18, group.title, 14, style=' font-weight="600"'))
        y += GROUP_STEP
        scale = scale_of(group.bars) if group.own_scale else shared
        for bar in group.bars:
            parts += draw_bar(bar, y, scale)
            y += BAR_STEP
        y += 6
    parts += [text(MARGIN, y + FOOTER_LINE * (i + 1), line, 11, FAINT) for i, line in enumerate(footer)]
    height = y + FOOTER_LINE * len(footer) + MARGIN - 8
    card = (f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:g}" rx="10" fill="{CARD}" '
            f'stroke="{EDGE}"/>')
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" '
            f'viewBox="0 0 {WIDTH} {height:g}" role="img" '
            'font-family="-apple-system, \'Segoe UI\', \'DejaVu Sans\', Helvetica, Arial, sans-serif">')
    return "\n".join([head, f"<title>{escape(title)}</title>", card, *parts, "</svg>", ""])


def check_chart(path: Path) -> None:
    """Raises ChartError when nothing here can write such a file."""
    if path.suffix == ".png" and shutil.which("rsvg-convert") is None:
        raise ChartError(f"{path}: a PNG needs rsvg-convert: --install, or apt-get install librsvg2-bin; "
                         "or choose .svg")


def write_chart(path: Path, svg: str) -> None:
    """Writes SVG or PNG by the name's ending."""
    check_chart(path)
    if path.suffix == ".svg":
        path.write_text(svg, encoding="utf-8")
        return
    command = ["rsvg-convert", "--zoom", str(PNG_ZOOM), "--output", str(path)]
    try:
        subprocess.run(command, input=svg, text=True, encoding="utf-8", capture_output=True, check=True)
    except subprocess.CalledProcessError as error:
        raise ChartError(f"{path}: rsvg-convert: {error.stderr.strip()}") from None
