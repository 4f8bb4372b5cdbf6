"""torchvision's published weights of MobileNetV2, and their download."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from mnv2.convert.architecture import ConversionError


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
    """The file of published weights in torch.hub's cache, downloaded there and checked when it is not there yet."""
    import torch.hub

    url = WEIGHTS[name].url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        note(f"downloading {url}")
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[1],
                                           progress=sys.stderr.isatty())
        except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors, a wrong hash is a RuntimeError
            raise ConversionError(f"cannot download {url}: {error}; with a file at hand use --checkpoint FILE") from None
    return path
