"""Made-up words, sentences and numbers, and fonts to set them with Pillow."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import ImageFont

from mnv2.figures.styles import font_path

SYLLABLES = ("ba be bo da de di do fa fe ga go ha he in ka ke la le li lo ma me mi mo na ne no or pa pe po ra re ri ro "
             "sa se si so ta te ti to un va ve vi wa we za th st er an en is al on at").split()


def word(rng: np.random.Generator) -> str:
    text = "".join(SYLLABLES[i] for i in rng.integers(len(SYLLABLES), size=rng.integers(1, 5)))
    return text.capitalize() if rng.random() < 0.3 else text


def phrase(rng: np.random.Generator, fewest: int, most: int) -> str:
    """From `fewest` to `most` words with a capital first."""
    text = " ".join(word(rng) for _ in range(rng.integers(fewest, most + 1)))
    return text[:1].upper() + text[1:]


def number(rng: np.random.Generator) -> str:
    """As in a table: whole, with decimals, with a unit or a percent sign."""
    value = float(rng.uniform(-100, 1000) * 10.0 ** rng.integers(-2, 3))
    form = int(rng.integers(4))
    return (f"{value:.0f}", f"{value:.2f}", f"{abs(value) % 100:.1f}%", f"${abs(value):,.2f}")[form]


@lru_cache(maxsize=256)
def font(file_name: str, pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_path(file_name)), pixels)
