"""Values of command lines, for argparse."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from mnv2.convert.block_table import Row


FLOAT32, BFLOAT16 = DTYPES = ("float32", "bfloat16")  # of the weights in a model file


def add_precision_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("low precision")
    group.add_argument("--dtype", choices=DTYPES, default=FLOAT32,
                       help="of the weights in the file; bfloat16 halves it and rounds them (default: float32)")
    group.add_argument("--calibrate", type=Path, metavar="FOLDER",
                       help="photos to measure each layer's mean input on, which int8 corrects its biases by; at most 128 of them, "
                            "evenly chosen; needs Pillow (default: 32 synthetic images)")


def parse_side(text: str, limit: int) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= limit):
        raise argparse.ArgumentTypeError(f"{text!r}, expected 1 to {limit} pixels")
    return int(text)


def parse_channels(text: str, above: float) -> tuple[float, float, float]:
    """Three finite numbers R,G,B above `above`."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3 or not all(above < value < math.inf for value in values):
        raise argparse.ArgumentTypeError(f"{text!r}, expected three finite numbers R,G,B{' above 0' * (above == 0)}")
    return values  # type: ignore[return-value]


def parse_eps(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 to 1")
    return value


def parse_rows(text: str) -> list[Row]:
    """torchvision's inverted_residual_setting as JSON: [[t, c, n, s], ...]."""
    try:
        rows = [Row(*row) for row in json.loads(text)]
        valid = bool(rows) and all(row.t > 0 and row.c > 0 and row.n > 0 and row.s in (1, 2) for row in rows)
    except (ValueError, TypeError, RecursionError):
        valid = False
    if not valid or not all(type(number) is int for row in rows for number in (row.c, row.n, row.s)):
        raise argparse.ArgumentTypeError("expected a JSON list of [t, c, n, s] rows, with s 1 or 2")
    return rows
