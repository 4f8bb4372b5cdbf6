"""Class names: from a text file (one a line), a JSON file, or those of ImageNet's classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

from mnv2.convert.architecture import ConversionError

IMAGENET_CLASSES = Path(__file__).resolve().parents[3] / "models/imagenet_classes.json"


class LabelsError(ConversionError):
    """A label file that cannot be used."""


def read_labels(path: Path) -> list[str]:
    """The labels of `path`.

    JSON is a list of names, or an object {"0": NAME, ...}; a NAME is a string or a list [wnid, name]. Everything else
    is text with one name a line. Raises LabelsError, OSError.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelsError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    try:
        return _parse_json(text) if text.lstrip()[:1] in ("[", "{") else _parse_lines(text)
    except LabelsError as error:
        raise LabelsError(f"{path}: {error}") from None


def _parse_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        if not line:
            raise LabelsError(f"line {number} is empty")
    return lines


def _parse_json(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabelsError(f"damaged JSON: {error}") from None
    if isinstance(value, dict):
        for index in range(len(value)):
            if str(index) not in value:
                raise LabelsError(f'the key "{index}" is missing')
        value = [value[str(index)] for index in range(len(value))]
    return [_name(index, entry) for index, entry in enumerate(value)]


def _name(index: int, entry: Any) -> str:
    name = entry[-1] if isinstance(entry, list) and entry else entry  # ["n01440764", "tench"]
    if not isinstance(name, str) or not name:
        raise LabelsError(f"class {index}: {json.dumps(entry)[:60]}, expected a name")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise LabelsError(f"class {index}: {json.dumps(name)} is not Unicode text") from None
    return name


def imagenet_labels() -> Optional[list[str]]:
    """The names of the 1000 ImageNet classes, as torchvision has them; None where the file is not in the clone."""
    return read_labels(IMAGENET_CLASSES) if IMAGENET_CLASSES.is_file() else None
