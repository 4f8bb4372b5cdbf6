"""Photos as the program sees them: which files of a folder they are, and the square that the network gets. Needs Pillow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Iterator

import numpy as np

from mnv2.convert.architecture import CROP_FORMS, ConversionError, Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp")  # the program's own
FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PHOTOS = 128  # more change a mean by less than the next photo does


class PhotosError(ConversionError):
    """A folder that there is nothing to calibrate with in."""


def choose_photos(folder: Path) -> tuple[list[Path], int]:
    """At most MAX_PHOTOS of the photos below `folder`, evenly spread over the sorted names, and how many there are."""
    if not folder.is_dir():
        raise PhotosError(f"--calibrate {folder}: {'no folder' if folder.exists() else 'there is no such folder'}")
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names
                  if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    if not found:
        raise PhotosError(f"--calibrate {folder}: no photo in it ({', '.join(SUFFIXES)})")
    found.sort(key=os.fsencode)
    count = min(len(found), MAX_PHOTOS)
    return [found[i * len(found) // count] for i in range(count)], len(found)


def read_photos(paths: list[Path], preprocessing: Preprocessing, notes: list[str]) -> Iterator[np.ndarray]:
    """The squares, values from 0 to 255, float32 [3, crop, crop]. What cannot be read is left out, and said in `notes`.

    Raises PhotosError when none can.
    """
    from PIL import Image, ImageOps

    failed: list[str] = []
    for path in paths:
        try:
            with Image.open(path, formats=FORMATS) as file:
                square = make_square(ImageOps.exif_transpose(file).convert("RGB"), preprocessing)
        except Exception as error:  # Pillow's readers raise whatever damaged bytes lead them to
            failed.append(f"{path}: {str(error) or type(error).__name__}")
            continue
        yield np.ascontiguousarray(square.transpose(2, 0, 1), np.float32)
    if len(failed) == len(paths):
        raise PhotosError(f"--calibrate: none of {len(paths)} photos can be read; the first: {failed[0]}")
    notes += [f"left out of the calibration: {message}" for message in failed]


def make_square(image: PilImage, preprocessing: Preprocessing) -> np.ndarray:
    """[crop, crop, 3] of an RGB image, by the form of models/README.md: bytes, or floats from 0 to 255."""
    from PIL import Image, ImageOps

    form, side = preprocessing.form, preprocessing.crop
    resample = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS,
                "nearest": Image.NEAREST}[preprocessing.interpolation]
    if form == "fit":
        return np.asarray(ImageOps.fit(image, (side, side), resample))
    if form == "squash":
        return np.asarray(image.resize((side, side), resample))
    if form in CROP_FORMS:
        width, height = image.size
        short, long = preprocessing.resize, int(preprocessing.resize * max(width, height) / min(width, height))
        resized = image.resize((short, long) if width <= height else (long, short), resample)
        return _crop_middle(np.asarray(resized), side, form == "crop-floor")
    pixels = np.asarray(image, np.float64)
    for axis in (0, 1):
        first, second, weight = _neighbours(pixels.shape[axis], side, form == "squash-align-corners")
        weight = weight.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        pixels = pixels.take(first, axis) * (1 - weight) + pixels.take(second, axis) * weight
    return pixels


def _crop_middle(pixels: np.ndarray, crop: int, floor: bool) -> np.ndarray:
    """With zeros around what is smaller. An odd margin is halved down, or as torchvision halves it: to the even side where it
    is cut off, and down where it is added."""
    result = np.zeros((crop, crop, 3), np.uint8)
    takes, puts = [], []
    for size in pixels.shape[:2]:
        margin = size - crop
        first = margin // 2 if floor else round(margin / 2) if margin >= 0 else -(-margin // 2)
        takes.append(slice(max(first, 0), min(first + crop, size)))
        puts.append(slice(max(-first, 0), max(-first, 0) + min(first + crop, size) - max(first, 0)))
    result[puts[0], puts[1]] = pixels[takes[0], takes[1]]
    return result


def _neighbours(size: int, out: int, align_corners: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each of `out` pixels the two source pixels around it, and the weight of the second."""
    x = np.arange(out, dtype=np.float64)
    if align_corners:
        position = x * ((size - 1) / (out - 1)) if out > 1 else x * 0
    else:
        position = (x + 0.5) * (size / out) - 0.5
    first = np.floor(position)
    return np.clip(first, 0, size - 1).astype(int), np.clip(first + 1, 0, size - 1).astype(int), position - first
