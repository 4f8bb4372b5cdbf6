#!/usr/bin/env python3
"""Draws a picture of a digital clock as PNG: something to classify that needs no download and no library."""

from __future__ import annotations

import math
import struct
import sys
import zlib
from typing import Callable

WIDTH, HEIGHT = 400, 300
Color = tuple[int, int, int]
Pixels = list[list[Color]]

LIT, UNLIT = (255, 40, 20), (30, 8, 6)
SEGMENTS = {"0": "abcdef", "1": "bc", "4": "fgbc", "7": "abc"}  # the digits of 10:47
DIGIT_WIDTH, DIGIT_HEIGHT = 44, 80
# From (x, y) to (x, y) in halves of the digit's height and in widths.
SEGMENT_ENDS = {"a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2), "e": (0, 1, 0, 2),
                "f": (0, 0, 0, 1), "g": (0, 1, 1, 1)}


def paint(pixels: Pixels, box: tuple[int, int, int, int], distance: Callable[[float, float], float],
          color: Color) -> None:
    """Blends `color` into the pixels of `box` (left, top, right, bottom) where `distance` to the shape is below 0."""
    for y in range(box[1], box[3]):
        for x in range(box[0], box[2]):
            cover = min(max(0.5 - distance(x + 0.5, y + 0.5), 0.0), 1.0)
            if cover > 0:
                pixels[y][x] = tuple(round(a + (b - a) * cover) for a, b in zip(pixels[y][x], color))


def paint_panel(pixels: Pixels, left: int, top: int, right: int, bottom: int, radius: int, color: Color) -> None:
    """A rectangle with round corners."""
    def distance(x: float, y: float) -> float:
        return math.hypot(max(left + radius - x, x - (right - radius), 0),
                          max(top + radius - y, y - (bottom - radius), 0)) - radius

    paint(pixels, (left, top, right, bottom), distance, color)


def paint_stroke(pixels: Pixels, x0: float, y0: float, x1: float, y1: float, width: float, color: Color) -> None:
    """A line with round ends; a dot when both ends are one point."""
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / length, (y1 - y0) / length

    def distance(x: float, y: float) -> float:
        along = min(max((x - x0) * dx + (y - y0) * dy, 0.0), length * (dx != 0 or dy != 0))
        return math.hypot(x - x0 - along * dx, y - y0 - along * dy) - width / 2

    box = (int(min(x0, x1) - width), int(min(y0, y1) - width), int(max(x0, x1) + width), int(max(y0, y1) + width))
    paint(pixels, box, distance, color)


def paint_digit(pixels: Pixels, digit: str, left: int, top: int) -> None:
    """Seven segments, leaning to the right as such displays do."""
    for name, (x0, y0, x1, y1) in SEGMENT_ENDS.items():
        ends = [(left + x * DIGIT_WIDTH + 2 * (2 - y), top + y * DIGIT_HEIGHT / 2) for x, y in ((x0, y0), (x1, y1))]
        (ax, ay), (bx, by) = ends
        gap = 6 / math.hypot(bx - ax, by - ay)  # between segments, 6 pixels from each corner
        paint_stroke(pixels, ax + (bx - ax) * gap, ay + (by - ay) * gap, bx - (bx - ax) * gap, by - (by - ay) * gap, 9,
                     LIT if name in SEGMENTS[digit] else UNLIT)


def draw_clock() -> Pixels:
    pixels = []
    for y in range(HEIGHT):
        shade = tuple(round(a + (b - a) * y / HEIGHT) for a, b in zip((90, 70, 60), (60, 45, 40)))
        pixels.append([shade] * WIDTH)
    paint_panel(pixels, 40, 80, 360, 230, 16, (25, 25, 28))
    paint_panel(pixels, 58, 98, 342, 212, 6, (8, 4, 4))
    for digit, left in zip("1047", (75, 140, 220, 285)):
        paint_digit(pixels, digit, left, 115)
    for y in (138, 172):
        paint_stroke(pixels, 203, y, 203, y, 12, LIT)
    return pixels


def encode_png(pixels: Pixels) -> bytes:
    """8-bit RGB (PNG specification, ISO/IEC 15948)."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(value for pixel in row for value in pixel) for row in pixels)
    header = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) +
            chunk(b"IEND", b""))


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        wants_help = sys.argv[1:] in (["-h"], ["--help"])
        print("Usage: draw_sample.py FILE.png", file=sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else 2
    try:
        with open(sys.argv[1], "wb") as file:
            file.write(encode_png(draw_clock()))
    except OSError as error:
        print(f"draw_sample.py: {sys.argv[1]}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
