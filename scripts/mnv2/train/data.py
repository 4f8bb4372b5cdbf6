"""Folders of images as training data: one folder per class, augmentation from the seed alone."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional as F

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png")
FORMATS = ("JPEG", "PNG")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MAX_CACHE_BYTES = 4 << 30


class TreeError(Exception):
    """The folders cannot be trained on."""


@dataclass(frozen=True)
class Tree:
    """Images and their classes, by index into `classes`."""

    classes: list[str]
    train: list[tuple[Path, int]]
    val: list[tuple[Path, int]]


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise TreeError(f"{root}: {error.strerror}") from None


def _images(folder: Path) -> list[Path]:
    """The images below `folder`, sorted."""
    found = []
    for where, folders, files in os.walk(folder):
        folders.sort()
        found += [Path(where, name) for name in sorted(files)
                  if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    return found


def _labelled(root: Path, classes: list[str]) -> list[tuple[Path, int]]:
    labelled = []
    for index, name in enumerate(classes):
        images = _images(root / name)
        if not images:
            raise TreeError(f"{root / name}: no JPEG or PNG file, expected at least one")
        labelled += [(image, index) for image in images]
    return labelled


def _held_out(path: Path, root: Path, fraction: float) -> bool:
    """By a hash of the path below the root: adding images moves no others."""
    digest = hashlib.sha256(os.fsencode(path.relative_to(root))).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def read_tree(root: Path, val_fraction: float) -> Tree:
    """The tree below `root`: root/train/CLASS and root/val/CLASS, or root/CLASS, of which a part is held out.

    Raises TreeError: fewer than two classes, a class without images, classes that differ between train and val.
    """
    names = {folder.name for folder in _folders(root)}
    split = {"train", "val"} <= names
    train_root = root / "train" if split else root
    classes = [folder.name for folder in _folders(train_root)]
    if len(classes) < 2:
        raise TreeError(f"{train_root}: {len(classes)} folders, expected one per class and at least two")
    if split:
        other = [folder.name for folder in _folders(root / "val")]
        if other != classes:
            differing = sorted(set(other) ^ set(classes))
            raise TreeError(f"{root / 'val'}: other classes than in train: {', '.join(differing)}")
        return Tree(classes, _labelled(train_root, classes), _labelled(root / "val", classes))
    every = _labelled(root, classes)
    val = [(path, index) for path, index in every if _held_out(path, root, val_fraction)]
    train = [(path, index) for path, index in every if not _held_out(path, root, val_fraction)]
    for index, name in enumerate(classes):  # of a small class none may have been held out, or all
        images = [path for path, i in every if i == index]
        if len(images) < 2:
            raise TreeError(f"{root / name}: 1 image, expected at least two: one to train on, one to validate")
        if all(i != index for _, i in val):
            moved = min(images, key=lambda path: hashlib.sha256(os.fsencode(path.relative_to(root))).digest())
            val.append((moved, index))
            train.remove((moved, index))
        elif all(i != index for _, i in train):
            moved = max(images, key=lambda path: hashlib.sha256(os.fsencode(path.relative_to(root))).digest())
            train.append((moved, index))
            val.remove((moved, index))
    return Tree(classes, train, val)


def load_image(path: Path) -> Image.Image:
    """RGB pixels, as the program sees them. Raises TreeError."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise TreeError(f"{path}: not a readable JPEG or PNG image ({error})") from None


@dataclass(frozen=True)
class Sizes:
    resize: int  # pixels, of the short side
    crop: int  # pixels


def to_tensor(pixels: np.ndarray) -> torch.Tensor:
    """uint8 [..., H, W, 3] to normalised float [..., 3, H, W]."""
    scaled = torch.from_numpy(pixels).movedim(-1, -3).float().div(255)
    return scaled.sub(torch.tensor(MEAN).view(3, 1, 1)).div(torch.tensor(STD).view(3, 1, 1))


def validation_pixels(image: Image.Image, sizes: Sizes) -> np.ndarray:
    """uint8 [crop, crop, 3], as the program crops it."""
    resized = F.resize(image, sizes.resize, transforms.InterpolationMode.BILINEAR)
    return np.asarray(F.center_crop(resized, [sizes.crop, sizes.crop]))


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be from the file's. The defaults of `strength` 1 are torchvision's recipe, milder."""

    strength: float = 1.0
    flip: float = 0.5  # the probability of mirroring
    recolor: float = 0.0  # the probability of other colours altogether

    def pixels(self, image: Image.Image, sizes: Sizes, generator: torch.Generator) -> np.ndarray:
        """uint8 [crop, crop, 3]: a random part, mirrored or not, in other colours."""
        with torch.random.fork_rng(devices=[]):
            torch.random.set_rng_state(generator.get_state())
            s = self.strength
            area = (max(0.1, 1 - 0.6 * s), 1.0)
            ratio = (max(0.1, 1 - 0.25 * s), 1 + 0.333 * s)
            box = transforms.RandomResizedCrop.get_params(self._window(image, sizes), list(area), list(ratio))
            window = self._window(image, sizes)
            out = F.resized_crop(window, *box, [sizes.crop, sizes.crop], transforms.InterpolationMode.BILINEAR)
            if torch.rand(()) < self.flip:
                out = F.hflip(out)
            if s > 0:
                jitter = transforms.ColorJitter(0.3 * s, 0.3 * s, 0.3 * s, min(0.5, 0.05 * s))
                out = jitter(out)
            pixels = np.asarray(out)
            return self._recolored(pixels) if torch.rand(()) < self.recolor else pixels

    @staticmethod
    def _recolored(pixels: np.ndarray) -> np.ndarray:
        """Red, green and blue in another order, and one image of four as its negative: light ink on dark paper."""
        swapped = pixels[..., torch.randperm(3).numpy()]
        return 255 - swapped if torch.rand(()) < 0.25 else swapped

    @staticmethod
    def _window(image: Image.Image, sizes: Sizes) -> Image.Image:
        """What the program would look at, and some more of the long side: the middle, at most 1.3 times as long."""
        width, height = image.size
        side = min(width, height)
        longest = int(side * 1.3)
        return F.center_crop(image, [min(height, longest), min(width, longest)])


class Images(torch.utils.data.Dataset):
    """Pixels and class indexes. Small enough images are kept in memory, at twice the size that the crop needs."""

    def __init__(self, items: list[tuple[Path, int]], sizes: Sizes, seed: int,
                 augmentation: Optional[Augmentation] = None):
        self.items, self.sizes, self.seed, self.augmentation = items, sizes, seed, augmentation
        self.epoch = 0
        self._cache: list[Optional[Image.Image]] = [None] * len(items)
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.items)

    def _image(self, index: int) -> Image.Image:
        image = self._cache[index]
        if image is None:
            image = load_image(self.items[index][0])
            if self.augmentation is not None:
                shrink = 2 * self.sizes.resize / min(image.size)
                if shrink < 1:  # decoding and resizing large photos again and again would take most of the time
                    image = image.resize((max(1, round(image.width * shrink)), max(1, round(image.height * shrink))),
                                         Image.Resampling.BILINEAR)
            size = 3 * image.width * image.height
            if self._cached_bytes + size <= MAX_CACHE_BYTES:
                self._cache[index] = image
                self._cached_bytes += size
        return image

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = self._image(index)
        if self.augmentation is None:
            pixels = validation_pixels(image, self.sizes)
        else:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) * 1_000_003 + index)
            pixels = self.augmentation.pixels(image, self.sizes, generator)
        return torch.from_numpy(np.array(pixels)), self.items[index][1]
