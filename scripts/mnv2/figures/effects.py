"""What happens to a figure on its way: page around it, window, scanner, camera, cropping, greys, JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from mnv2.figures.pages import chance, choose_paper
from mnv2.figures.styles import Styles
from mnv2.figures.text import font, phrase

Rng = np.random.Generator
ORIENTED = ("blank", "QR code", "barcode")  # kinds that are as often seen turned by a quarter


def spoil(image: Image.Image, kind: str, rng: Rng, styles: Styles) -> Image.Image:
    """`image` as somebody might have it: each effect happens to some figures only."""
    if kind != "blank" and chance(rng, 0.3):
        image = _surround(image, rng, styles)
    if chance(rng, 0.12):
        image = _window(image, rng, styles)
    image = _shrink(image, rng)
    desk = ImageColor.getrgb(str(rng.choice(styles.desks)))
    corner = image.getpixel((0, 0))
    if kind in ORIENTED and chance(rng, 0.3):
        image = image.rotate(90 * int(rng.integers(1, 4)), expand=True)
    if chance(rng, 0.25):
        angle = rng.normal(0, 12 if kind in ORIENTED else 3)
        image = image.rotate(angle, Image.BICUBIC, expand=True, fillcolor=corner if chance(rng, 0.6) else desk)
    if chance(rng, 0.12):
        image = _tilt(image, rng, desk)
    if chance(rng, 0.3):
        image = _crop(image, rng)
    if chance(rng, 0.25):
        image = _scan(image, rng)
    if chance(rng, 0.12):
        image = image.convert("L").convert("RGB")
    if chance(rng, 0.15):
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    return image


def encode(image: Image.Image, rng: Rng) -> tuple[bytes, str]:
    """A file's bytes and its suffix: JPEG of any quality more often than PNG."""
    stream = io.BytesIO()
    if chance(rng, 0.6):
        image.save(stream, "JPEG", quality=int(rng.integers(30, 97)))
        return stream.getvalue(), ".jpg"
    if chance(rng, 0.2):
        image = image.quantize(int(rng.choice([16, 64, 256])))
    image.save(stream, "PNG")
    return stream.getvalue(), ".png"


def _surround(image: Image.Image, rng: Rng, styles: Styles) -> Image.Image:
    """Margins of a page or slide, perhaps with a caption."""
    paper = choose_paper(rng, styles)
    left, right = (int(n) for n in image.width * rng.uniform(0, 0.16, 2))
    top, bottom = (int(n) for n in image.height * rng.uniform(0, 0.16, 2))
    page = Image.new("RGB", (image.width + left + right, image.height + top + bottom), paper.ground)
    page.paste(image, (left, top))
    draw = ImageDraw.Draw(page)
    face = font(str(rng.choice(styles.font_files)), int(rng.integers(10, 18)))
    if bottom > face.size + 4 and chance(rng, 0.6):
        draw.text((left, top + image.height + 3), f"Figure {rng.integers(1, 30)}: {phrase(rng, 3, 9)}", paper.ink, face)
    if top > face.size + 4 and chance(rng, 0.3):
        draw.text((left, 3), phrase(rng, 2, 6), paper.ink, face)
    return page


def _window(image: Image.Image, rng: Rng, styles: Styles) -> Image.Image:
    """A screenshot: a title bar above, part of a desktop around."""
    bar, edge = int(rng.integers(14, 34)), int(rng.integers(0, 25))
    paper = choose_paper(rng, styles, dark=0.5)
    screen = Image.new("RGB", (image.width + 2 * edge, image.height + bar + 2 * edge), str(rng.choice(styles.desks)))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((edge, edge, edge + image.width - 1, edge + bar), paper.ground)
    draw.text((edge + bar * 2.4, edge + bar * 0.2), phrase(rng, 1, 3), paper.ink,
              font(str(rng.choice(styles.font_files)), max(9, bar // 2)))
    for i in range(3):
        x, y, r = edge + bar * (0.5 + 0.6 * i), edge + bar / 2, bar * 0.2
        draw.ellipse((x - r, y - r, x + r, y + r), paper.ink)
    screen.paste(image, (edge, edge + bar))
    return screen


def _shrink(image: Image.Image, rng: Rng) -> Image.Image:
    """To a size as found in the wild, at most 800 pixels; sometimes blown up from a small one."""
    longest = max(image.size)
    wanted = float(np.clip(longest * rng.uniform(0.6, 1.15), 150, 800))
    scale = wanted / longest
    size = tuple(max(24, round(n * scale)) for n in image.size)
    filters = (Image.BILINEAR, Image.BICUBIC, Image.LANCZOS)
    return image.resize(size, filters[rng.integers(3)])


def _tilt(image: Image.Image, rng: Rng, desk: tuple[int, int, int]) -> Image.Image:
    """Seen from aside, as by a camera."""
    w, h = image.size
    corners = np.array([(0, 0), (0, h), (w, h), (w, 0)]) + rng.uniform(-0.08, 0.08, (4, 2)) * (w, h)
    target = [(0, 0), (0, h), (w, h), (w, 0)]
    rows = []
    for (x, y), (u, v) in zip(target, corners):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    factors = np.linalg.solve(np.array(rows, float), corners.reshape(8))
    return image.transform((w, h), Image.PERSPECTIVE, factors.tolist(), Image.BICUBIC, fillcolor=desk)


def _crop(image: Image.Image, rng: Rng) -> Image.Image:
    w, h = image.size
    left, right = w * rng.uniform(0, 0.12, 2)
    top, bottom = h * rng.uniform(0, 0.12, 2)
    return image.crop((int(left), int(top), w - int(right), h - int(bottom)))


def _scan(image: Image.Image, rng: Rng) -> Image.Image:
    """Uneven light, a cast, noise; sometimes black and white only."""
    pixels = np.asarray(image, np.float32)
    h, w = pixels.shape[:2]
    y, x = np.mgrid[-1:1:h * 1j, -1:1:w * 1j].astype(np.float32)
    light = 1 + rng.uniform(-0.15, 0.15) * x + rng.uniform(-0.15, 0.15) * y
    pixels = pixels * (light * rng.uniform(0.75, 1.1))[..., None] * rng.uniform(0.88, 1.05, 3)
    pixels += rng.normal(0, rng.uniform(1, 14), (h, w, 1))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if chance(rng, 0.12):
        grey = np.asarray(image.convert("L"))
        image = Image.fromarray(np.where(grey > np.median(grey) * rng.uniform(0.6, 0.9), 255, 0).astype(np.uint8))
    return image.convert("RGB")
