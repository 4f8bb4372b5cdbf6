"""What drawn figures look like: three sets of fonts, colours, colour maps and shapes that share nothing.

A network that was trained on one set and is right on another has learned kinds of figures, not their looks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

FONT_FOLDER = Path("/usr/share/fonts")  # of Debian's packages
SHEET_RENAMED = "seaborn-v0_8"  # matplotlib 3.6 put the version into the names of these style sheets


@dataclass(frozen=True)
class Paper:
    """Two colours, `#rrggbb`."""

    ground: str
    ink: str


@dataclass(frozen=True)
class Styles:
    """Lists to choose from; no entry is in the same list of another set."""

    font_files: tuple[str, ...]  # of regular weight
    sheets: tuple[str, ...]  # matplotlib's style sheets
    palettes: tuple[tuple[str, ...], ...]  # `#rrggbb`; no colour is in two sets
    colormaps: tuple[str, ...]  # without those that end in `_r`, which are drawn too
    papers: tuple[Paper, ...]  # light ones
    dark_papers: tuple[Paper, ...]
    desks: tuple[str, ...]  # what a page lies on, what a window stands before
    markers: tuple[str, ...]  # of points, matplotlib's names
    node_shapes: tuple[str, ...]  # of diagrams, Graphviz's names


TRAIN = Styles(
    font_files=("DejaVuSans.ttf", "DejaVuSerif.ttf", "LiberationSans-Regular.ttf", "LiberationMono-Regular.ttf",
                "LiberationSerif-Regular.ttf", "OpenSans-Regular.ttf", "Lato-Light.ttf", "ComicNeue-Regular.otf"),
    sheets=("default", "classic", "ggplot", "bmh", "seaborn-white", "seaborn-darkgrid", "seaborn-ticks", "fast"),
    palettes=(
        ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f"),
        ("#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#ffd92f", "#a65628", "#f781bf"),
        ("#fbb4ae", "#b3cde3", "#ccebc5", "#decbe4", "#fed9a6", "#e5d8bd", "#fddaec", "#f2f2f2"),
        ("#003f5c", "#2f4b7c", "#665191", "#a05195", "#d45087", "#f95d6a", "#ff7c43", "#ffa600"),
        ("#222222", "#555555", "#888888", "#aaaaaa", "#bbbbbb", "#333333", "#666666", "#999999"),
        ("#0000ff", "#ff0000", "#008000", "#00bfbf", "#bf00bf", "#bfbf00", "#000000", "#ff8800"),
        ("#4472c4", "#ed7d31", "#a5a5a5", "#ffc000", "#5b9bd5", "#70ad47", "#264478", "#9e480e"),
        ("#08306b", "#08519c", "#2171b5", "#4292c6", "#6baed6", "#9ecae1", "#c6dbef", "#deebf7"),
        ("#52ef99", "#c95e9f", "#b1e632", "#7574f5", "#799d10", "#fd3fbe", "#2cf52b", "#d130ff")),
    colormaps=("viridis", "jet", "gray", "Blues", "Reds", "RdBu", "coolwarm", "hot", "terrain", "YlGnBu", "PuOr",
               "cubehelix", "rainbow", "Greens", "bone", "spring", "PiYG", "gnuplot", "twilight", "Greys", "autumn",
               "cool", "pink", "bwr", "RdYlGn", "RdGy", "GnBu", "BuPu", "OrRd", "PuRd", "afmhot", "CMRmap", "nipy_spectral"),
    papers=(Paper("#ffffff", "#000000"), Paper("#fafafa", "#202020"), Paper("#f4ecd8", "#3b2f20"),
            Paper("#eef3f8", "#102a43"), Paper("#fffbe6", "#333300"), Paper("#e8e8e8", "#111111"),
            Paper("#f0fff0", "#0b3d0b")),
    dark_papers=(Paper("#000000", "#ffffff"), Paper("#1e1e1e", "#d4d4d4"), Paper("#0d1b2a", "#e0e1dd"),
                 Paper("#2b2b3a", "#f8f8f2")),
    desks=("#c0c0c0", "#5c4033", "#dfe6e9", "#34495e", "#8e9775", "#f5f5f5", "#101010"),
    markers=("o", "s", "^", "x", "+", ".", "<", "8", "H", "P", "X", "2"),
    node_shapes=("box", "ellipse", "circle", "diamond", "plaintext", "record"))

VALIDATION = Styles(
    font_files=("FreeSans.ttf", "Caladea-Regular.ttf", "OpenSans-CondLight.ttf"),
    sheets=("seaborn-whitegrid", "seaborn-dark", "seaborn-paper"),
    palettes=(
        ("#66c2a5", "#fc8d62", "#8da0cb", "#e78ac3", "#a6d854", "#f0d92f", "#e5c494", "#b3b3b3"),
        ("#332288", "#117733", "#44aa99", "#88ccee", "#ddcc77", "#cc6677", "#aa4499", "#882255"),
        ("#264653", "#2a9d8f", "#e9c46a", "#f4a261", "#e76f51", "#6d6875", "#b5838d", "#ffb4a2")),
    colormaps=("plasma", "cividis", "Purples", "RdYlBu", "ocean", "YlOrRd", "BrBG", "summer"),
    papers=(Paper("#fefefe", "#0a0a0a"), Paper("#f7f3ee", "#2d2a26"), Paper("#edf7f6", "#1d3557")),
    dark_papers=(Paper("#111820", "#e6edf3"), Paper("#3b0a45", "#f5e6ff")),
    desks=("#a9a9a9", "#6b4226", "#e3e8ef", "#223344"),
    markers=("D", "v", "1"),
    node_shapes=("hexagon", "oval", "square", "underline"))

TEST = Styles(
    font_files=("Carlito-Regular.ttf", "FreeSerif.ttf", "Roboto-Regular.ttf", "Hack-Regular.ttf"),
    sheets=("Solarize_Light2", "fivethirtyeight", "grayscale", "tableau-colorblind10", "seaborn-talk"),
    palettes=(
        ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#1a1a1a"),
        ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#a6761d", "#676767"),
        ("#5f0f40", "#9a031e", "#fb8b24", "#e36414", "#0f4c5c", "#3d5a80", "#98c1d9", "#ee6c4d"),
        ("#4c566a", "#5e81ac", "#81a1c1", "#88c0d0", "#8fbcbb", "#a3be8c", "#ebcb8b", "#bf616a"),
        ("#2d2d2d", "#4b4b4b", "#6e6e6e", "#8f8f8f", "#afafaf", "#cdcdcd", "#dedede", "#3c3c3c")),
    colormaps=("inferno", "magma", "turbo", "Oranges", "Spectral", "seismic", "copper", "gist_earth", "winter",
               "PRGn", "YlGn"),
    papers=(Paper("#fdfdfd", "#050505"), Paper("#fdf6e3", "#073642"), Paper("#eceff4", "#2e3440"),
            Paper("#f1f8e9", "#1b2a10")),
    dark_papers=(Paper("#002b36", "#eee8d5"), Paper("#282c34", "#abb2bf"), Paper("#121212", "#e1e1e1")),
    desks=("#b4b4b4", "#4e342e", "#cfd8dc", "#1b2631", "#faf0e6"),
    markers=("*", "p", "h", ">", "d"),
    node_shapes=("Mrecord", "parallelogram", "note", "octagon", "component", "tab"))

SPLITS = {"train": TRAIN, "val": VALIDATION, "test": TEST}
FONT_PACKAGES = ("fonts-dejavu-core", "fonts-liberation", "fonts-open-sans", "fonts-lato", "fonts-comic-neue",
                 "fonts-freefont-ttf", "fonts-crosextra-caladea", "fonts-crosextra-carlito", "fonts-roboto-unhinted",
                 "fonts-hack")


@lru_cache(maxsize=None)
def _fonts_here() -> dict[str, Path]:
    return {path.name: path for path in sorted(FONT_FOLDER.rglob("*.[ot]tf"))}


def font_path(file_name: str) -> Path:
    """Where the font is; it must be there, see missing_fonts."""
    return _fonts_here()[file_name]


def missing_fonts() -> list[str]:
    """The font files of all sets that this machine lacks."""
    return [name for styles in SPLITS.values() for name in styles.font_files if name not in _fonts_here()]


def sheet_name(sheet: str, available: list[str]) -> str:
    """matplotlib's name of a style sheet, whichever version it is of."""
    if sheet == "default" or sheet in available:
        return sheet
    return sheet.replace("seaborn", SHEET_RENAMED)


def shared_entries(a: Styles, b: Styles) -> list[str]:
    """What two sets have in common, which must be nothing; single colours are looked at, not whole palettes."""
    found = []
    for field in fields(Styles):
        entries = [_flat(getattr(styles, field.name)) for styles in (a, b)]
        found += [f"{field.name}: {entry}" for entry in sorted(entries[0] & entries[1])]
    return found


def _flat(values: tuple) -> set[str]:
    if values and isinstance(values[0], Paper):
        return {paper.ground for paper in values}
    if values and isinstance(values[0], tuple):
        return {color for palette in values for color in palette}
    return set(values)
