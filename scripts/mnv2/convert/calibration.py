"""The images that each layer's mean input is measured on: synthetic ones, or photos of the user's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, Optional

import numpy as np

from mnv2.convert.architecture import CROP_FORMS, Architecture, Preprocessing
from mnv2.convert.layer_means import input_means

SYNTHETIC_IMAGES = 32
SEED = 1
MAX_SIDE = 512  # pixels; a larger input is measured at a side that is as odd or even at every layer
PIXELS_AT_ONCE = 8 * 224 * 224  # of the images in one batch: maps are large


@dataclass(frozen=True)
class Calibration:
    """`means`: `<layer>.input_mean` of every layer but the depthwise ones; None when there are none that are finite.
    `images` says what they are of, `notes` what else is to be told."""

    means: Optional[dict[str, np.ndarray]]
    images: str
    notes: list[str]


def calibrate(architecture: Architecture, tensors: dict[str, np.ndarray], preprocessing: Preprocessing,
              photos: Optional[Path] = None) -> Calibration:
    """The means over the photos in the folder `photos`, or else over synthetic images. Raises ConversionError."""
    preprocessing = smaller(preprocessing)
    notes: list[str] = []
    if photos is None:
        images, what = synthetic_images(preprocessing.crop, SYNTHETIC_IMAGES, SEED), f"{SYNTHETIC_IMAGES} synthetic images"
        prepared = (normalise(image, preprocessing) for image in images)
    else:
        from mnv2.convert.photos import choose_photos, read_photos

        chosen, found = choose_photos(photos)
        prepared = (normalise(image, preprocessing) for image in read_photos(chosen, preprocessing, notes))
    means = input_means(architecture, tensors, in_batches(prepared, preprocessing.crop))
    if photos is not None:
        what = f"{len(chosen) - len(notes)} of the {found} photos in {photos}"
    if means is None:
        notes.append("the network's values grow beyond float32, so no layer's mean input is in the file")
    return Calibration(means, what, notes)


def smaller(preprocessing: Preprocessing) -> Preprocessing:
    """The same, but for inputs above MAX_SIDE."""
    crop = preprocessing.crop
    if crop <= MAX_SIDE:
        return preprocessing
    side = MAX_SIDE - 32 + crop % 32
    resize = max(1, preprocessing.resize * side // crop) if preprocessing.form in CROP_FORMS else side
    return replace(preprocessing, crop=side, resize=resize)


def synthetic_images(side: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """Pixels from 0 to 255, float32 [3, side, side], with the spectrum, contrast and brightness of photos.

    White noise filtered by 1 / frequency: one field that the channels share, one of each channel's own, and one random
    brightness of the image. RandomState gives the same numbers with every NumPy.
    """
    rng = np.random.RandomState(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = 1 / side

    def field() -> np.ndarray:
        values = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) / frequency, (side, side))
        values -= values.mean()
        return values / max(values.std(), 1e-12)  # one pixel has no spread

    for _ in range(count):
        shared, brightness = field(), 118 + 25 * rng.standard_normal()
        channels = [brightness + 58 * (0.9 * shared + 0.35 * field()) for _ in range(3)]
        yield np.clip(np.stack(channels), 0, 255).astype(np.float32)


def normalise(pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """The network's input, float32, of values from 0 to 255 [3, H, W]."""
    mean, std = (np.array(values, np.float32).reshape(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    return (pixels / np.float32(255) - mean) / std


def in_batches(images: Iterator[np.ndarray], side: int) -> Iterator[np.ndarray]:
    size = max(1, PIXELS_AT_ONCE // side ** 2)
    batch: list[np.ndarray] = []
    for image in images:
        batch.append(image)
        if len(batch) == size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
