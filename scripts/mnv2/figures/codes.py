"""Draws QR codes (python3-qrcode), barcodes (zint) and diagrams (Graphviz)."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import qrcode
from PIL import Image, ImageDraw
from qrcode import constants

from mnv2.figures.charts import font_family
from mnv2.figures.pages import chance, choose_color, choose_paper
from mnv2.figures.styles import Paper, Styles
from mnv2.figures.text import font, phrase, word

Rng = np.random.Generator

DARK_ENOUGH = 110  # of 255; a code whose dark modules are lighter cannot be read
MAX_GRAPHS = 5  # that are tried for one diagram
SYMBOLOGIES = (("CODE128", "text"), ("CODE128", "text"), ("EANX", 12), ("EANX", 7), ("UPCA", 11), ("CODE39", "capitals"),
               ("ITF14", 13), ("CODE93", "capitals"), ("PLESSEY", 10), ("MSI_PLESSEY", 9))


class ToolError(Exception):
    """A program of another package failed."""


def _run(command: list[str], text: str = "") -> Image.Image:
    """The picture that `command` writes to its output."""
    done = subprocess.run(command, input=text.encode(), capture_output=True)
    if done.returncode != 0 or not done.stdout:
        raise ToolError(f"{' '.join(command[:4])}: {done.stderr.decode(errors='replace').strip() or 'no picture'}")
    return Image.open(io.BytesIO(done.stdout)).convert("RGB")


def _brightness(color: str) -> float:
    r, g, b = (int(color[i:i + 2], 16) for i in (1, 3, 5))
    return 0.299 * r + 0.587 * g + 0.114 * b


def _code_colors(rng: Rng, styles: Styles) -> Paper:
    """Dark on light, as readers need it: black on white, on the paper of a set, or in a dark colour of it."""
    if chance(rng, 0.5):
        return Paper("#ffffff", "#000000")
    paper = choose_paper(rng, styles, dark=0)
    color = choose_color(rng, styles)
    return Paper(paper.ground, color) if chance(rng, 0.4) and _brightness(color) < DARK_ENOUGH else paper


def _on_label(rng: Rng, styles: Styles, code: Image.Image, colors: Paper) -> Image.Image:
    """The code alone, or on a label with some words above, below or beside it."""
    if chance(rng, 0.5):
        return code
    sides = rng.integers(0, [code.width // 2 + 2, code.height // 2 + 2, code.width // 2 + 2, code.height // 2 + 2])
    left, top, right, bottom = (int(n) for n in sides)
    label = Image.new("RGB", (code.width + left + right, code.height + top + bottom), colors.ground)
    label.paste(code, (left, top))
    draw = ImageDraw.Draw(label)
    face = font(str(rng.choice(styles.font_files)), int(np.clip(code.width * rng.uniform(0.04, 0.1), 9, 40)))
    for y in (top - face.size * 1.5, top + code.height + face.size * 0.3):
        if chance(rng, 0.6):
            draw.text((left + rng.integers(0, code.width // 4 + 1), y), phrase(rng, 1, 3), colors.ink, face)
    if chance(rng, 0.2):
        draw.rectangle((1, 1, label.width - 2, label.height - 2), outline=colors.ink, width=2)
    return label


def draw_qr_code(rng: Rng, styles: Styles) -> Image.Image:
    """Versions 1 to about 12; square, round or shrunken modules; with or without its quiet zone."""
    levels = (constants.ERROR_CORRECT_L, constants.ERROR_CORRECT_M, constants.ERROR_CORRECT_Q, constants.ERROR_CORRECT_H)
    code = qrcode.QRCode(border=int(rng.integers(0, 6)), error_correction=levels[rng.integers(4)],
                         mask_pattern=int(rng.integers(8)))
    length = int(rng.choice([8, 20, 40, 80, 160, 260]))
    code.add_data("https://" + word(rng) + ".org/" + "".join(chr(c) for c in rng.integers(97, 123, length)))
    code.make()
    matrix = np.array(code.get_matrix())
    side = max(2, round(rng.uniform(120, 600) / len(matrix)))
    colors = _code_colors(rng, styles)
    if chance(rng, 0.06):
        colors = Paper(colors.ink, colors.ground)
    image = Image.new("RGB", (side * len(matrix),) * 2, colors.ground)
    draw = ImageDraw.Draw(image)
    form = str(rng.choice(["square", "square", "square", "dot", "gap"])) if side >= 5 else "square"
    for row, column in np.argwhere(matrix):
        x, y = int(column) * side, int(row) * side
        if form == "dot":
            draw.ellipse((x, y, x + side - 1, y + side - 1), colors.ink)
        else:
            draw.rectangle((x, y, x + side - (2 if form == "gap" else 1), y + side - (2 if form == "gap" else 1)),
                           colors.ink)
    if chance(rng, 0.1):  # a logo in the middle
        low, high = image.width * 0.41, image.width * 0.59
        draw.rectangle((low, low, high, high), colors.ground)
        draw.ellipse((low + 2, low + 2, high - 2, high - 2), choose_color(rng, styles))
    return _on_label(rng, styles, image, colors)


def draw_barcode(rng: Rng, styles: Styles) -> Image.Image:
    """Of the linear codes on goods, parcels and books."""
    name, content = SYMBOLOGIES[rng.integers(len(SYMBOLOGIES))]
    if isinstance(content, int):
        data = "".join(str(d) for d in rng.integers(0, 10, content))
    else:
        data = word(rng) + "-" + str(rng.integers(10, 10**6)) + word(rng)[:2]
        data = data.upper() if content == "capitals" else data
    colors = _code_colors(rng, styles)
    command = ["zint", "-b", name, "--direct", "--filetype=PNG", f"--scale={rng.choice([0.5, 1, 1.5, 2, 3])}",
               f"--height={rng.integers(15, 90)}", f"--fg={colors.ink[1:]}", f"--bg={colors.ground[1:]}", "-d", data,
               f"--whitesp={rng.integers(0, 12)}", f"--vwhitesp={rng.integers(0, 8)}"]
    if chance(rng, 0.35):
        command.append("--notext")
    if chance(rng, 0.15):
        command += ["--border=2", str(rng.choice(["--bind", "--box"]))]
    image = _run(command)
    if chance(rng, 0.5):  # stretched: printers make bars of any height
        image = image.resize((image.width, max(30, int(image.height * rng.uniform(0.5, 2)))), Image.NEAREST)
    return _on_label(rng, styles, image, colors)


def _describe_diagram(rng: Rng, styles: Styles) -> tuple[str, str]:
    """Boxes and arrows: trees, flow charts, networks, clusters. The name of a layout, and the graph in Graphviz's words."""
    paper = choose_paper(rng, styles)
    count = int(rng.integers(4, 16))
    directed = chance(rng, 0.7)
    family = font_family(str(rng.choice(styles.font_files)))
    tint = choose_color(rng, styles)
    fill = f'style="filled" fillcolor="{tint}{rng.integers(0x40, 0xc0):02x}"' if chance(rng, 0.6) else ""
    shapes = [str(shape) for shape in rng.choice(styles.node_shapes, 3)]
    lines = [f'graph [bgcolor="{paper.ground}" rankdir={rng.choice(["TB", "LR"])} dpi={rng.integers(40, 110)}'
             f' splines={rng.choice(["true", "line", "curved"])} pad={rng.uniform(0, 0.4):.2f}'
             f' nodesep={rng.uniform(0.15, 0.6):.2f} ranksep={rng.uniform(0.2, 0.8):.2f} overlap=false]',
             f'node [fontname="{family}" color="{paper.ink}" fontcolor="{paper.ink}" {fill}'
             f' penwidth={rng.uniform(0.6, 2.5):.1f} fontsize={rng.integers(9, 20)}]',
             f'edge [fontname="{family}" color="{paper.ink}" fontcolor="{paper.ink}" penwidth={rng.uniform(0.6, 2):.1f}'
             f' arrowhead={rng.choice(["normal", "vee", "open", "diamond"])} fontsize=9]']
    for i in range(count):
        shape = shapes[0] if chance(rng, 0.6) else shapes[rng.integers(3)]
        own = f' fillcolor="{choose_color(rng, styles)}"' if fill and chance(rng, 0.3) else ""
        lines.append(f'n{i} [label="{phrase(rng, 1, 2)}" shape={shape}{own}]')
    arrow = "->" if directed else "--"
    edges = [(int(rng.integers(max(0, i - 4), i)), i) for i in range(1, count)]
    edges += [tuple(int(n) for n in rng.integers(0, count, 2)) for _ in range(rng.integers(0, count // 2 + 1))]
    for a, b in edges:
        label = f' [xlabel="{word(rng)}"]' if chance(rng, 0.12) else ""
        lines.append(f"n{a} {arrow} n{b}{label}")
    if chance(rng, 0.2):
        lines.append("subgraph cluster_a { label=" + word(rng) + "; " + " ".join(f"n{i}" for i in range(3)) + " }")
    text = f"{'digraph' if directed else 'graph'} {{\n" + "\n".join(lines) + "\n}\n"
    return str(rng.choice(["dot", "dot", "dot", "dot", "neato", "circo", "fdp"])), text


def draw_diagram(rng: Rng, styles: Styles) -> Image.Image:
    """A graph of Graphviz's. Its layouts give up on, or crash with, one graph in some hundreds: then another is drawn.
    @throws ToolError when that does not help"""
    attempts = 0
    while True:
        layout, text = _describe_diagram(rng, styles)
        attempts += 1
        try:
            image = _run(["dot", f"-K{layout}", "-Tpng"], text)
        except ToolError:
            if attempts == MAX_GRAPHS:
                raise
        else:
            image.thumbnail((1000, 1000))
            return image


CODES = {"QR code": draw_qr_code, "barcode": draw_barcode, "diagram": draw_diagram}
