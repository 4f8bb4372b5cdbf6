"""How images become the network's input: what the user wishes, and what a layout's published weights want."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Optional

from mnv2.convert.architecture import INTERPOLATIONS, ConversionError, Preprocessing
from mnv2.convert.layouts import Layout

MAX_RESIZE, MAX_CROP = 16384, 4096  # pixels; the program's own limits


@dataclass(frozen=True)
class PreprocessingWishes:
    """What the user says about the preprocessing; None for what the layout's published weights want."""

    resize: Optional[int] = None  # pixels, of the short side
    crop: Optional[int] = None  # pixels
    interpolation: Optional[str] = None
    mean: Optional[tuple[float, float, float]] = None
    std: Optional[tuple[float, float, float]] = None


def choose_preprocessing(layout: Layout, wishes: PreprocessingWishes) -> Preprocessing:
    """The layout's preprocessing with what the user wishes. Raises ConversionError for what no program can do."""
    stated = {name: value for name, value in vars(wishes).items() if value is not None}
    if layout.crop_fraction is not None and "resize" not in stated and "crop" in stated:
        stated["resize"] = int(stated["crop"] / layout.crop_fraction)
    return check_preprocessing(replace(layout.preprocessing, **stated))


def check_preprocessing(chosen: Preprocessing) -> Preprocessing:
    """`chosen`. Raises ConversionError for what no program can do."""
    for name, limit in (("resize", MAX_RESIZE), ("crop", MAX_CROP)):
        side = getattr(chosen, name)
        if type(side) is not int or not 1 <= side <= limit:
            raise ConversionError(f"{name} {side!r}, expected 1 to {limit} pixels")
    if chosen.interpolation not in INTERPOLATIONS:
        raise ConversionError(f"interpolation {chosen.interpolation!r}, expected one of {', '.join(INTERPOLATIONS)}")
    for name, smallest in (("mean", float("-inf")), ("std", 0.0)):
        values = getattr(chosen, name)
        if len(values) != 3 or not all(math.isfinite(value) and value > smallest for value in values):
            raise ConversionError(f"{name} {values}, expected three finite numbers{' above 0' * (smallest == 0)}")
    return chosen
