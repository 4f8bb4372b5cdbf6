"""Draws pages with Pillow: running text, tables, and pages with nothing on them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from mnv2.figures.styles import Paper, Styles
from mnv2.figures.text import font, number, phrase, word

Rng = np.random.Generator


def chance(rng: Rng, probability: float) -> bool:
    return bool(rng.random() < probability)


def choose_paper(rng: Rng, styles: Styles, dark: float = 0.15) -> Paper:
    papers = styles.dark_papers if chance(rng, dark) else styles.papers
    return papers[rng.integers(len(papers))]


def choose_color(rng: Rng, styles: Styles) -> str:
    palette = styles.palettes[rng.integers(len(styles.palettes))]
    return palette[rng.integers(len(palette))]


def blend(a: str, b: str, share: float) -> tuple[int, int, int]:
    """`share` of b over a."""
    return tuple(round(x + (y - x) * share) for x, y in zip(ImageColor.getrgb(a), ImageColor.getrgb(b)))


def draw_text_page(rng: Rng, styles: Styles) -> Image.Image:
    """Paragraphs in one to three columns, with headings, lists or initials; or lines of code."""
    paper = choose_paper(rng, styles)
    width = int(rng.integers(320, 760))
    height = int(width * rng.uniform(0.6, 1.5))
    image = Image.new("RGB", (width, height), paper.ground)
    draw = ImageDraw.Draw(image)
    pixels = int(rng.integers(9, 20))
    face = font(str(rng.choice(styles.font_files)), pixels)
    margin = int(width * rng.uniform(0.03, 0.13))
    y = int(height * rng.uniform(0.0, 0.12))
    if chance(rng, 0.5):
        heading = font(str(rng.choice(styles.font_files)), int(pixels * rng.uniform(1.3, 2.4)))
        draw.text((margin if chance(rng, 0.6) else width // 4, y), phrase(rng, 2, 5), paper.ink, heading)
        y += int(pixels * 3.5)
    columns = int(rng.choice([1, 1, 1, 2, 2, 3])) if width > 420 else 1
    gap = int(pixels * rng.uniform(1.2, 2.5))
    column = (width - 2 * margin - gap * (columns - 1)) // columns
    code, justified = columns == 1 and chance(rng, 0.15), chance(rng, 0.5)
    ends_early = height if chance(rng, 0.75) else int(height * rng.uniform(0.6, 0.95))
    for i in range(columns):
        box = (margin + i * (column + gap), y, column, ends_early)
        _code(draw, rng, box, face, paper, styles) if code else _paragraphs(draw, rng, box, face, paper, justified)
    return image


def _paragraphs(draw: ImageDraw.ImageDraw, rng: Rng, box: tuple[int, int, int, int], face, paper: Paper,
                justified: bool) -> None:
    """Fills box = (left, top, width, bottom) with paragraphs."""
    left, y, width, bottom = box
    step = face.size * rng.uniform(1.15, 1.7)
    indent = face.size * rng.uniform(0, 2.5)
    space = face.getlength(" ")
    listed = chance(rng, 0.15)
    while y < bottom:
        left_here = left + (face.size * 1.5 if listed else 0)
        if listed:
            draw.text((left, y), "\u2022", paper.ink, face)
        lines = int(rng.integers(1, 4) if listed else rng.integers(2, 10))
        for line in range(lines):
            start = indent if line == 0 and not listed else 0
            room = left + width - left_here - start
            words, used = [], 0.0
            while True:
                following = word(rng)
                length = face.getlength(following)
                if used + length > room:
                    break
                words.append((following, length))
                used += length + space
            if line == lines - 1:
                words = words[:max(1, int(len(words) * rng.uniform(0.2, 1)))]
            spare = (room - sum(w[1] for w in words)) / max(1, len(words) - 1)
            x = left_here + start
            for text, length in words:
                draw.text((x, y), text, paper.ink, face)
                x += length + (spare if justified and line < lines - 1 else space)
            y += step
            if y >= bottom:
                return
        y += step * rng.uniform(0, 1.2)
        if chance(rng, 0.08):
            draw.text((left, y), phrase(rng, 1, 3).upper(), paper.ink, face)
            y += step * 1.3


def _code(draw: ImageDraw.ImageDraw, rng: Rng, box: tuple[int, int, int, int], face, paper: Paper,
          styles: Styles) -> None:
    """Lines of different depth, some words coloured as an editor does."""
    left, y, width, bottom = box
    depth, colored = 0, chance(rng, 0.6)
    while y < bottom:
        x = left + depth * face.size * 2
        for _ in range(rng.integers(0, 7)):
            text = word(rng) + str(rng.choice(["", "(", ")", " =", ";", "::", ","]))
            if x + face.getlength(text) > left + width:
                break
            draw.text((x, y), text, choose_color(rng, styles) if colored and chance(rng, 0.4) else paper.ink, face)
            x += face.getlength(text + " ")
        depth = int(np.clip(depth + rng.integers(-1, 2), 0, 4))
        y += face.size * 1.4


def draw_table(rng: Rng, styles: Styles) -> Image.Image:
    """Cells of words and numbers: ruled, striped, with lines above and below only, or as a spreadsheet shows them."""
    paper = choose_paper(rng, styles)
    pixels = int(rng.integers(10, 20))
    face = font(str(rng.choice(styles.font_files)), pixels)
    columns, rows = int(rng.integers(2, 9)), int(rng.integers(4, 22))
    numeric = [i > 0 and chance(rng, 0.65) for i in range(columns)]
    texts = [[(number(rng) if is_number else phrase(rng, 1, 2)) for is_number in numeric] for _ in range(rows)]
    texts[0] = [phrase(rng, 1, 2) for _ in range(columns)]
    pad = int(pixels * rng.uniform(0.4, 1.3))
    widths = [max(int(face.getlength(row[i])) for row in texts) + 2 * pad for i in range(columns)]
    step = int(pixels * rng.uniform(1.35, 2.3))
    margin = [int(rng.integers(0, 45)) for _ in range(4)]
    caption = int(pixels * 2) if chance(rng, 0.25) else 0
    size = (sum(widths) + margin[0] + margin[1], step * rows + margin[2] + margin[3] + caption)
    image = Image.new("RGB", size, paper.ground)
    draw = ImageDraw.Draw(image)
    if caption:
        draw.text((margin[0], margin[2]), phrase(rng, 2, 6), paper.ink, face)
    top = margin[2] + caption
    _ground(draw, rng, (margin[0], top, sum(widths), step, rows), paper, styles)
    for r, row in enumerate(texts):
        x = margin[0]
        for c, text in enumerate(row):
            free = widths[c] - 2 * pad - face.getlength(text)
            draw.text((x + pad + (free if numeric[c] else 0), top + r * step + (step - pixels) / 2 - 1), text,
                      paper.ink, face)
            x += widths[c]
    _rules(draw, rng, (margin[0], top, step, rows), widths, paper)
    if size[0] > 1000:
        image = image.crop((0, 0, 1000, size[1]))
    return image


def _ground(draw: ImageDraw.ImageDraw, rng: Rng, grid: tuple[int, int, int, int, int], paper: Paper,
            styles: Styles) -> None:
    """What lies behind the rows of grid = (left, top, width, step, rows): a head, stripes, or nothing."""
    left, top, width, step, rows = grid
    tint = choose_color(rng, styles)
    if chance(rng, 0.4):
        color = blend(paper.ground, tint, rng.uniform(0.08, 0.3))
        for r in range(1, rows, 2):
            draw.rectangle((left, top + r * step, left + width, top + (r + 1) * step), color)
    if chance(rng, 0.45):
        draw.rectangle((left, top, left + width, top + step), blend(paper.ground, tint, rng.uniform(0.2, 0.7)))


def _rules(draw: ImageDraw.ImageDraw, rng: Rng, grid: tuple[int, int, int, int], widths: list[int],
           paper: Paper) -> None:
    left, top, step, rows = grid
    right, bottom = left + sum(widths), top + step * rows
    kind = str(rng.choice(["all", "all", "rows", "three", "outer", "none"]))
    color = blend(paper.ground, paper.ink, rng.uniform(0.3, 1))
    thin = int(rng.integers(1, 3))
    if kind in ("all", "rows"):
        for r in range(rows + 1):
            draw.line((left, top + r * step, right, top + r * step), color, thin)
    if kind in ("three", "none"):  # "none" keeps the rule below the head
        edges = (0, 1, rows) if kind == "three" else (1,)
        for r in edges:
            draw.line((left, top + r * step, right, top + r * step), color, thin + (r != 1))
    if kind == "outer":
        draw.rectangle((left, top, right, bottom), outline=color, width=thin)
    if kind in ("all", "outer"):
        for x in np.cumsum([left, *widths]):
            draw.line((int(x), top, int(x), bottom), color, thin)


def draw_blank(rng: Rng, styles: Styles) -> Image.Image:
    """Nothing: one colour, a slow gradient, grainy paper, a fold or a shadow, perhaps the holes of a binder."""
    paper = choose_paper(rng, styles, dark=0.25)
    ground = choose_color(rng, styles) if chance(rng, 0.25) else paper.ground
    width, height = (int(n) for n in rng.integers(200, 700, 2))
    pixels = np.empty((height, width, 3), np.float32)
    pixels[:] = ImageColor.getrgb(ground)
    if chance(rng, 0.4):
        slope = rng.normal(0, 25, 2)
        y, x = np.mgrid[-0.5:0.5:height * 1j, -0.5:0.5:width * 1j]
        pixels += (slope[0] * y + slope[1] * x)[..., None]
    if chance(rng, 0.4):
        grain = Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)).filter(
            ImageFilter.GaussianBlur(rng.uniform(0.5, 3)))
        pixels += (np.asarray(grain, np.float32)[..., None] - 127) * rng.uniform(0.05, 0.5)
    if chance(rng, 0.15):
        fold = int(rng.integers(1, height))
        pixels[max(0, fold - 1):fold + 1] -= rng.uniform(5, 30)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    if chance(rng, 0.12):
        for y in (0.25, 0.75):
            x, r = width * 0.04, width * 0.012
            draw.ellipse((x - r, height * y - r, x + r, height * y + r), blend(ground, paper.ink, 0.6))
    if chance(rng, 0.12):
        face = font(str(rng.choice(styles.font_files)), int(rng.integers(9, 14)))
        draw.text((width / 2, height - 20), str(rng.integers(1, 400)), paper.ink, face)
    return image


PAGES = {"blank": draw_blank, "table": draw_table, "text page": draw_text_page}
