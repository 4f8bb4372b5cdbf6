"""torchvision's published weights of MobileNetV2, and their download."""

from __future__ import annotations

import argparse
import hashlib
import os
import urllib.request
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Callable

from mnv2.convert.architecture import ConversionError
from mnv2.progress import progress

TIMEOUT = 30  # seconds without a byte
PART_BYTES = 1 << 20


@dataclass(frozen=True)
class PublishedWeights:
    """One entry of torchvision.models.MobileNet_V2_Weights, which torchvision before 0.13 does not have."""

    url: str  # the eight hex digits at the end of the name begin the file's SHA-256
    resize: int


WEIGHTS = {
    "IMAGENET1K_V1": PublishedWeights("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth", 256),
    "IMAGENET1K_V2": PublishedWeights("https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth", 232),
}
DEFAULT_WEIGHTS = "IMAGENET1K_V1"


def parse_weights(text: str) -> str:
    """An enum name, with or without the name of the enum; DEFAULT is IMAGENET1K_V2 as in torchvision."""
    name = text[len("MobileNet_V2_Weights."):] if text.startswith("MobileNet_V2_Weights.") else text
    name = "IMAGENET1K_V2" if name == "DEFAULT" else name
    if name not in WEIGHTS:
        raise argparse.ArgumentTypeError(f"unknown weights {text!r}, expected one of {', '.join(WEIGHTS)}, DEFAULT")
    return name


def download(name: str, note: Callable[[str], None]) -> Path:
    """The file of published weights in torch.hub's cache; downloaded there when it, or all of it, is not there yet.

    Its SHA-256 must begin as its name says. Raises ConversionError.
    """
    url = WEIGHTS[name].url
    path = cache_folder() / url.rsplit("/", 1)[1]
    expected = path.stem.rsplit("-", 1)[1]
    if path.is_file() and _digest(path.read_bytes()).startswith(expected):
        return path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        note(f"downloading {url}")
        data = _fetch(url)
        found = _digest(data)
        if not found.startswith(expected):
            raise ConversionError(f"{url}: {len(data)} bytes of SHA-256 {found}, expected one that begins with {expected}")
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except (OSError, HTTPException) as error:  # what urllib raises, and what the disk does
        raise ConversionError(f"cannot download {url}: {error or type(error).__name__}; "
                              "with a file at hand use --checkpoint FILE") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def cache_folder() -> Path:
    """Where torch.hub keeps checkpoints."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("TORCH_HOME") or f"{cache}/torch").expanduser() / "hub/checkpoints"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        parts = iter(partial(answer.read, PART_BYTES), b"")
        total = -(-int(answer.headers.get("Content-Length") or 0) // PART_BYTES)
        return b"".join(progress(parts, total, "MiB"))
