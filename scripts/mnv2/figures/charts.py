"""Draws charts with matplotlib: bars, lines, points, slices, histograms, maps, boxes and contours of made-up data."""

from __future__ import annotations

import logging
from typing import Callable

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mnv2.figures.styles import Paper, Styles, font_path, sheet_name
from mnv2.figures.text import phrase, word

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a font without some sign is no news

Rng = np.random.Generator
_registered: dict[str, str] = {}  # font file -> family


def font_family(file_name: str) -> str:
    """The name under which matplotlib knows the font; its own cache of fonts may be older than the file."""
    if file_name not in _registered:
        path = str(font_path(file_name))
        font_manager.fontManager.addfont(path)
        _registered[file_name] = font_manager.FontProperties(fname=path).get_name()
    return _registered[file_name]


def chance(rng: Rng, probability: float) -> bool:
    return bool(rng.random() < probability)


def draw_chart(kind: str, rng: Rng, styles: Styles) -> Image.Image:
    """One chart of `kind`, a key of CHARTS, about 200 to 900 pixels wide, RGB."""
    sheet = sheet_name(str(rng.choice(styles.sheets)), matplotlib.style.available)
    palette = list(styles.palettes[rng.integers(len(styles.palettes))])
    rng.shuffle(palette)
    width = float(rng.uniform(220, 800))
    height = width / float(np.clip(rng.lognormal(0.3, 0.25), 0.65, 2.1))
    font_points = float(rng.uniform(6, 11))
    dpi = float(np.clip(width / rng.uniform(3.2, 8.0), 45, 160))
    with matplotlib.style.context(sheet):
        matplotlib.rcParams.update(_settings(rng, styles, palette, font_points))
        figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
        canvas = FigureCanvasAgg(figure)
        left, bottom = rng.uniform(0.04, 0.16), rng.uniform(0.05, 0.18)
        axes = figure.add_axes((left, bottom, rng.uniform(0.95, 0.99) - left, rng.uniform(0.86, 0.98) - bottom))
        CHARTS[kind](axes, rng, palette, styles)
        _decorate(kind, axes, rng)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _settings(rng: Rng, styles: Styles, palette: list[str], font_points: float) -> dict:
    """What overrides the style sheet: the font always, the paper often."""
    settings = {"font.family": [font_family(str(rng.choice(styles.font_files)))], "font.size": font_points,
                "axes.titlesize": font_points * rng.uniform(1.0, 1.5), "axes.labelsize": font_points,
                "xtick.labelsize": font_points * 0.9, "ytick.labelsize": font_points * 0.9,
                "legend.fontsize": font_points * 0.9, "text.usetex": False,
                "axes.prop_cycle": matplotlib.cycler(color=palette)}
    dark = chance(rng, 0.18)
    if dark or chance(rng, 0.6):
        paper: Paper = (styles.dark_papers if dark else styles.papers)[
            rng.integers(len(styles.dark_papers if dark else styles.papers))]
        settings.update({"figure.facecolor": paper.ground, "axes.facecolor": paper.ground, "text.color": paper.ink})
        settings.update({key: paper.ink for key in ("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")})
        settings["grid.color"] = paper.ink
        settings["grid.alpha"] = float(rng.uniform(0.1, 0.4))
    if chance(rng, 0.6):
        settings["axes.grid"] = chance(rng, 0.5)
        settings["grid.linestyle"] = str(rng.choice(["-", "--", ":"]))
    if chance(rng, 0.5):
        settings["axes.spines.top"] = settings["axes.spines.right"] = chance(rng, 0.4)
    settings["lines.linewidth"] = float(rng.uniform(0.8, 3.0))
    return settings


def _decorate(kind: str, axes: Axes, rng: Rng) -> None:
    """Title, labels of the axes, legend, or none of them."""
    if chance(rng, 0.55):
        axes.set_title(phrase(rng, 2, 6))
    if kind != "pie chart":
        if chance(rng, 0.5):
            axes.set_xlabel(phrase(rng, 1, 3))
        if chance(rng, 0.5):
            axes.set_ylabel(phrase(rng, 1, 3))
        if chance(rng, 0.1):
            axes.set_xticks([])
            axes.set_yticks([])
        elif chance(rng, 0.1):
            axes.tick_params(labelbottom=False, labelleft=False)
    handles = axes.get_legend_handles_labels()[0]
    if handles and chance(rng, 0.55):
        axes.legend(loc=str(rng.choice(["best", "upper right", "upper left", "lower left", "upper center"])),
                    frameon=chance(rng, 0.6), ncol=int(rng.integers(1, 3)))


def _bars(axes: Axes, rng: Rng, palette: list[str], _: Styles) -> None:
    """Vertical or lying; single, grouped or stacked; of few named categories, with gaps between them."""
    count = int(rng.integers(3, 16))
    series = 1 if chance(rng, 0.5) else int(rng.integers(2, 5))
    stacked, lying = chance(rng, 0.4), chance(rng, 0.35)
    negative = not stacked and chance(rng, 0.15)
    values = rng.uniform(-60 if negative else 5, 100, (series, count)) * 10.0 ** rng.integers(-2, 4)
    if chance(rng, 0.2):
        values.sort(axis=1)
        values = values[:, ::-1] if chance(rng, 0.6) else values
    width = rng.uniform(0.4, 0.86) / (1 if stacked else series)
    positions, base = np.arange(count), np.zeros(count)
    draw = axes.barh if lying else axes.bar
    edge = {"edgecolor": "black", "linewidth": rng.uniform(0.5, 1.5)} if chance(rng, 0.25) else {}
    errors = chance(rng, 0.15)
    for i, row in enumerate(values):
        color = palette[:count] if series == 1 and chance(rng, 0.25) else palette[i % len(palette)]
        at = positions if stacked else positions + (i - (series - 1) / 2) * width
        extra = {"left" if lying else "bottom": base} if stacked else {}
        if errors:
            extra["xerr" if lying else "yerr"] = np.abs(row) * rng.uniform(0.03, 0.2, count)
        hatch = str(rng.choice(["/", "x", "..", "\\"])) if chance(rng, 0.1) else None
        bars = draw(at, row, width, color=color, label=word(rng), hatch=hatch, **edge, **extra)
        if series == 1 and chance(rng, 0.15):
            axes.bar_label(bars, fmt="%.3g")
        base = base + row
    names = [str(2000 + i) for i in range(count)] if chance(rng, 0.3) else [word(rng) for _ in range(count)]
    if lying:
        axes.set_yticks(positions, names)
    else:
        axes.set_xticks(positions, names, rotation=float(rng.choice([0, 0, 45, 90])))


def _smooth(rng: Rng, count: int) -> np.ndarray:
    """A made-up course of `count` values: a walk, waves, a trend, or a saturating curve."""
    x = np.linspace(0, 1, count)
    kind = int(rng.integers(4))
    if kind == 0:
        y = np.cumsum(rng.normal(0, 1, count))
    elif kind == 1:
        y = np.sin(x * rng.uniform(3, 25) + rng.uniform(0, 6)) * np.exp(-x * rng.uniform(0, 3))
    elif kind == 2:
        y = x * rng.normal() + rng.normal(0, rng.uniform(0.01, 0.2), count)
    else:
        y = 1 - np.exp(-x * rng.uniform(1, 9)) + rng.normal(0, rng.uniform(0, 0.05), count)
    return (y - y.min()) / (np.ptp(y) + 1e-9)


def _lines(axes: Axes, rng: Rng, palette: list[str], styles: Styles) -> None:
    count = int(rng.integers(5, 30)) if chance(rng, 0.5) else int(rng.integers(30, 300))
    x = np.linspace(0, 10.0 ** rng.integers(0, 4), count)
    marked = count < 40 and chance(rng, 0.5)
    for i in range(int(rng.integers(1, 7))):
        y = _smooth(rng, count) * rng.uniform(0.3, 1) + rng.uniform(0, 1)
        dashes = str(rng.choice(["-", "-", "-", "--", ":", "-."]))
        marker = str(rng.choice(styles.markers)) if marked else None
        draw = axes.step if chance(rng, 0.05) else axes.plot
        draw(x, y, dashes, color=palette[i % len(palette)], marker=marker, markersize=rng.uniform(3, 8), label=word(rng))
        if chance(rng, 0.12):
            axes.fill_between(x, y - 0.08, y + 0.08, color=palette[i % len(palette)], alpha=0.25)
    if chance(rng, 0.08):
        axes.set_yscale("log")


def _scatter(axes: Axes, rng: Rng, palette: list[str], styles: Styles) -> None:
    groups = int(rng.integers(1, 5))
    colored = chance(rng, 0.2)
    size, alpha = rng.uniform(6, 70), rng.uniform(0.4, 1)
    for i in range(groups):
        count = int(rng.integers(15, 250 if chance(rng, 0.7) else 900)) // groups + 8
        center, spread = rng.uniform(0, 8, 2), rng.uniform(0.3, 2.0, 2)
        x = rng.normal(center[0], spread[0], count) if chance(rng, 0.6) else rng.uniform(0, 10, count)
        relation = rng.normal(0, 0.9)
        y = center[1] + relation * (x - center[0]) + rng.normal(0, spread[1], count)
        sizes = size * rng.uniform(0.3, 5, count) if chance(rng, 0.2) else size
        marker = str(rng.choice(styles.markers))
        hollow = marker in "os^DvphH>d*" and chance(rng, 0.2)
        if colored:
            axes.scatter(x, y, s=sizes, c=y, cmap=_colormap(rng, styles), alpha=alpha, marker=marker, label=word(rng))
        elif hollow:
            axes.scatter(x, y, s=sizes, facecolors="none", edgecolors=palette[i % len(palette)], marker=marker,
                         label=word(rng))
        else:
            axes.scatter(x, y, s=sizes, color=palette[i % len(palette)], alpha=alpha, marker=marker, label=word(rng))
        if chance(rng, 0.15):
            ends = np.array([x.min(), x.max()])
            axes.plot(ends, center[1] + relation * (ends - center[0]), color=palette[(i + 3) % len(palette)])


def _pie(axes: Axes, rng: Rng, palette: list[str], _: Styles) -> None:
    count = int(rng.integers(2, 9))
    shares = rng.dirichlet(np.full(count, rng.uniform(0.8, 4))) + 0.02
    edge = {"edgecolor": str(rng.choice(["white", "black"])), "linewidth": rng.uniform(0.5, 3)}
    wedge = edge if chance(rng, 0.5) else {}
    if chance(rng, 0.3):
        wedge = {**wedge, "width": rng.uniform(0.25, 0.6)}
    names = [word(rng) for _ in range(count)]
    in_legend = chance(rng, 0.35)
    result = axes.pie(shares, labels=None if in_legend or chance(rng, 0.2) else names, colors=palette,
                      autopct="%1.0f%%" if chance(rng, 0.5) else None, startangle=rng.uniform(0, 360),
                      explode=[0.12 * chance(rng, 0.25) for _ in shares] if chance(rng, 0.3) else None,
                      shadow=chance(rng, 0.1), wedgeprops=wedge, radius=rng.uniform(0.8, 1.2))
    if in_legend:
        axes.legend(result[0], names, loc=str(rng.choice(["upper right", "lower left", "center left"])))


def _sample(rng: Rng, count: int) -> np.ndarray:
    """`count` numbers of a made-up distribution."""
    kind = int(rng.integers(4))
    if kind == 0:
        return rng.normal(rng.uniform(-2, 8), rng.uniform(0.5, 2), count)
    if kind == 1:
        return rng.gamma(rng.uniform(1, 5), 1.0, count)
    if kind == 2:
        return np.concatenate([rng.normal(0, 1, count // 2), rng.normal(rng.uniform(3, 6), 1.2, count // 2)])
    return rng.beta(rng.uniform(0.7, 4), rng.uniform(0.7, 4), count) * 10


def _histogram(axes: Axes, rng: Rng, palette: list[str], _: Styles) -> None:
    """Bars without gaps over an axis of numbers."""
    bins = int(rng.integers(10, 60))
    edge = {"edgecolor": str(rng.choice(["black", "white"])), "linewidth": rng.uniform(0.4, 1.2)}
    edge = edge if chance(rng, 0.5) else {}
    groups = 1 if chance(rng, 0.7) else 2
    kind = "stepfilled" if chance(rng, 0.12) else "bar"
    lying = chance(rng, 0.1)
    for i in range(groups):
        sample = _sample(rng, int(rng.integers(200, 4000)))
        density = chance(rng, 0.4)
        heights, edges, _patches = axes.hist(
            sample, bins=bins, density=density, color=palette[i % len(palette)], histtype=kind, label=word(rng),
            orientation="horizontal" if lying else "vertical", alpha=0.55 if groups > 1 else rng.uniform(0.7, 1), **edge)
        if not lying and chance(rng, 0.2):
            middle = (edges[1:] + edges[:-1]) / 2
            soft = np.convolve(np.pad(heights, 2, mode="edge"), np.full(5, 0.2), mode="valid")
            axes.plot(middle, soft, color=palette[(i + 2) % len(palette)])
    if lying:
        axes.margins(y=0.02)


def _colormap(rng: Rng, styles: Styles) -> str:
    return str(rng.choice(styles.colormaps)) + ("_r" if chance(rng, 0.4) else "")


def _bar_beside(axes: Axes, rng: Rng, drawn: object) -> None:
    if chance(rng, 0.55):
        axes.figure.colorbar(drawn, ax=axes, orientation="vertical" if chance(rng, 0.85) else "horizontal",
                             fraction=rng.uniform(0.04, 0.1), pad=rng.uniform(0.02, 0.06))


def _heat_map(axes: Axes, rng: Rng, _: list[str], styles: Styles) -> None:
    """A grid of coloured cells: noise, blocks, a correlation matrix, a sampled field."""
    rows, columns = int(rng.integers(4, 24)), int(rng.integers(4, 24))
    kind = int(rng.integers(4))
    if kind == 0:
        values = rng.random((rows, columns))
    elif kind == 1:
        values = np.corrcoef(rng.normal(0, 1, (rows, 6)) + rng.normal(0, 1, 6) * rng.normal(0, 1, (rows, 1)))
    elif kind == 2:
        values = np.add.outer(rng.random(rows), rng.random(columns)) + rng.normal(0, 0.2, (rows, columns))
    else:
        y, x = np.mgrid[0:rows, 0:columns]
        values = np.sin(x * rng.uniform(0.1, 0.9)) * np.cos(y * rng.uniform(0.1, 0.9)) + rng.normal(0, 0.15, x.shape)
    rows, columns = values.shape
    lines = {"edgecolors": str(rng.choice(["white", "black"])), "linewidth": rng.uniform(0.3, 1.5)}
    if chance(rng, 0.5):
        drawn = axes.pcolormesh(values, cmap=_colormap(rng, styles), **(lines if chance(rng, 0.4) else {}))
        middle = 0.5
    else:
        drawn = axes.imshow(values, cmap=_colormap(rng, styles), aspect="auto" if chance(rng, 0.6) else "equal",
                            interpolation="nearest")
        middle = 0.0
    axes.grid(False)
    if rows * columns < 120 and chance(rng, 0.5):
        cut = float(np.median(values))
        for i, j in np.ndindex(values.shape):
            axes.text(j + middle, i + middle, f"{values[i, j]:.1f}", ha="center", va="center",
                      color="white" if values[i, j] < cut else "black", fontsize=rng.uniform(4.5, 8))
    if chance(rng, 0.4):
        axes.set_xticks(np.arange(columns) + middle, [word(rng) for _ in range(columns)], rotation=90)
        axes.set_yticks(np.arange(rows) + middle, [word(rng) for _ in range(rows)])
    _bar_beside(axes, rng, drawn)


def _boxes(axes: Axes, rng: Rng, palette: list[str], styles: Styles) -> None:
    count = int(rng.integers(2, 11))
    samples = [_sample(rng, int(rng.integers(20, 200))) for _ in range(count)]
    filled, upright = chance(rng, 0.55), chance(rng, 0.75)
    line = {"linewidth": rng.uniform(0.8, 2.0)}
    if not filled and chance(rng, 0.5):
        line["color"] = palette[0]
    box = axes.boxplot(samples, vert=upright, notch=chance(rng, 0.15), patch_artist=filled, widths=rng.uniform(0.3, 0.75),
                       showfliers=chance(rng, 0.7), showmeans=chance(rng, 0.15), whiskerprops=line, capprops=line,
                       boxprops=line, flierprops={"marker": str(rng.choice(styles.markers)), "markersize": 4})
    if filled:
        several = chance(rng, 0.6)
        for i, patch in enumerate(box["boxes"]):
            patch.set_facecolor(palette[i % len(palette) if several else 0])
    if chance(rng, 0.6):
        names = [word(rng) for _ in range(count)]
        axes.set_xticklabels(names) if upright else axes.set_yticklabels(names)
    if chance(rng, 0.12):
        for i, sample in enumerate(samples):
            at = rng.normal(i + 1, 0.06, len(sample))
            axes.plot(*((at, sample) if upright else (sample, at)), ".", color=palette[-1], markersize=3, alpha=0.6)


def _contours(axes: Axes, rng: Rng, palette: list[str], styles: Styles) -> None:
    """Level lines or bands of a smooth field: hills, waves or a saddle."""
    y, x = np.mgrid[-3:3:70j, -3:3:80j]
    field = np.zeros_like(x)
    for _ in range(int(rng.integers(1, 6))):
        at, wide = rng.uniform(-2.5, 2.5, 2), rng.uniform(0.4, 1.8, 2)
        field += rng.normal(0, 1) * np.exp(-((x - at[0]) / wide[0])**2 - ((y - at[1]) / wide[1])**2)
    if chance(rng, 0.3):
        field += rng.uniform(0.1, 0.5) * np.sin(x * rng.uniform(0.5, 2.5)) * np.cos(y * rng.uniform(0.5, 2.5))
    if chance(rng, 0.15):
        field += 0.1 * (rng.normal() * x * x + rng.normal() * y * y)
    levels = int(rng.integers(5, 18))
    kind = int(rng.integers(3))  # bands, lines, both
    drawn = None
    if kind != 1:
        drawn = axes.contourf(x, y, field, levels, cmap=_colormap(rng, styles))
    if kind != 0:
        plain = chance(rng, 0.5) or kind == 2
        colors = {"colors": str(rng.choice(["black", "white"])) if kind == 2 else palette[0]}
        lines = axes.contour(x, y, field, levels, **(colors if plain else {"cmap": _colormap(rng, styles)}),
                             linewidths=rng.uniform(0.6, 2.0))
        if chance(rng, 0.5):
            axes.clabel(lines, inline=True, fontsize=rng.uniform(5, 8))
        drawn = drawn or lines
    if chance(rng, 0.2):
        axes.set_aspect("equal")
    _bar_beside(axes, rng, drawn)


CHARTS: dict[str, Callable[[Axes, Rng, list[str], Styles], None]] = {
    "bar chart": _bars, "box plot": _boxes, "contour plot": _contours, "heat map": _heat_map,
    "histogram": _histogram, "line chart": _lines, "pie chart": _pie, "scatter plot": _scatter}
