"""Labels that lie beside a model, as the sites hand them out: labels.txt, class_names.txt, metadata.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Optional

from mnv2.convert.architecture import SIGMOID, Architecture
from mnv2.convert.labels import LabelsError, read_labels

NAMES = ("labels.txt", "class_names.txt", "classes.txt")


def labels_beside(folder: Path, architecture: Architecture, activation: Optional[str], notes: list[str]) -> Optional[list[str]]:
    """Those of a file in `folder` that has one for each class; adds to `notes` where they are from."""
    wanted = {architecture.outputs, 2} if activation == SIGMOID and architecture.outputs == 1 else {architecture.outputs}
    for name in NAMES:
        path = folder / name
        if path.is_file() and path.stat().st_size < 1 << 24:
            try:
                labels = without_numbers(read_labels(path))
            except LabelsError:
                continue
            if len(labels) in wanted:
                notes.append(f"labels of {name} beside it")
                return labels
    return None


def without_numbers(lines: list[str]) -> list[str]:
    """Teachable Machine writes `0 Name`: the names, when all lines are counted like this."""
    matches = [re.match(r"(\d+)[ \t]+(.+)$", line) for line in lines]
    if lines and all(match is not None and int(match[1]) == i for i, match in enumerate(matches)):
        return [match[2].strip() for match in matches if match is not None]
    return lines


def teachable_metadata(path: Path) -> tuple[Optional[list[str]], Optional[int]]:
    """(labels, imageSize) of Teachable Machine's metadata.json; None for what it does not have."""
    try:
        metadata = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None, None
    if not isinstance(metadata, dict):
        return None, None
    labels, side = metadata.get("labels"), metadata.get("imageSize")
    if not (isinstance(labels, list) and labels and all(isinstance(label, str) and label for label in labels)):
        labels = None
    return labels, side if isinstance(side, int) and 1 <= side <= 4096 else None
