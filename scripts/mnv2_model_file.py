"""The model file of models/README.md: its description as Python types, one writer and one reader.

Needs numpy only. The writer and the reader share nothing but the description, so that reading back checks writing.
"""

from __future__ import annotations

import json
import math
import os
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

FORMAT = "mnv2-classify"
FORMAT_VERSION = "1"
ALIGNMENT = 64  # bytes; the first tensor starts at a multiple of it

RELU6 = (0, 6)
LINEAR = None


class ModelFileError(Exception):
    """A model file that does not follow models/README.md."""


@dataclass(frozen=True)
class Layer:
    """One layer with BatchNorm folded in; `clamp` is (min, max) of the activation, max None for no bound, or None."""

    kind: str  # "conv", "depthwise", "pointwise" or "linear"
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    clamp: Optional[tuple[float, Optional[float]]]

    def weight_shape(self) -> tuple[int, ...]:
        """The shape of `<name>.weight` in PyTorch order."""
        if self.kind == "linear":
            return (self.out_channels, self.in_channels)
        per_group = 1 if self.kind == "depthwise" else self.in_channels
        return (self.out_channels, per_group, self.kernel, self.kernel)


@dataclass(frozen=True)
class Block:
    """An inverted residual; `expand` is None when the expansion factor is 1."""

    expand: Optional[Layer]
    depthwise: Layer
    project: Layer
    residual: bool


@dataclass(frozen=True)
class Architecture:
    name: str
    stem: Layer
    blocks: tuple[Block, ...]
    head: Layer
    classifier: Layer

    def layers(self) -> list[tuple[str, Layer]]:
        """(name, layer) in order of execution; the tensors are `<name>.weight` and `<name>.bias`."""
        named: list[tuple[str, Layer]] = [("stem", self.stem)]
        for i, block in enumerate(self.blocks):
            if block.expand is not None:
                named.append((f"blocks.{i}.expand", block.expand))
            named += [(f"blocks.{i}.depthwise", block.depthwise), (f"blocks.{i}.project", block.project)]
        return named + [("head", self.head), ("classifier", self.classifier)]


@dataclass(frozen=True)
class Preprocessing:
    resize: int = 256  # pixels, of the short side
    crop: int = 224  # pixels
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # RGB, for values in [0, 1]
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"


def compact_json(value: Any) -> str:
    """JSON without spaces, ASCII only: the same bytes for the same value everywhere."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def make_metadata(architecture: Architecture, preprocessing: Preprocessing, labels: Optional[list[str]], source: str,
                  source_sha256: Optional[str]) -> dict[str, str]:
    """The `__metadata__` of a model file; `labels` and `source_sha256` are left out when None."""
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": compact_json(asdict(architecture)),
        "preprocessing": compact_json(asdict(preprocessing)),
        "source": source,
    }
    if labels is not None:
        metadata["labels"] = compact_json(labels)
    if source_sha256 is not None:
        metadata["source_sha256"] = source_sha256
    return metadata


def write_model_file(path: Path, metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> None:
    """Writes `tensors` (float32, in this order) and `metadata`, flushed to the disk.

    The bytes depend on the arguments alone. Raises OSError.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32:
            raise ModelFileError(f"{name}: {tensor.dtype}, expected float32")
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = compact_json(header).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor, dtype="<f4").tobytes())
        file.flush()
        os.fsync(file.fileno())


def read_model_file(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Reads (metadata, tensors) and checks the container: F32 tensors, one after the other, to the end of the file.

    Raises ModelFileError, OSError.
    """
    data = Path(path).read_bytes()
    if len(data) < 8:
        raise ModelFileError(f"{path}: {len(data)} bytes, too short for a safetensors file")
    (header_bytes,) = struct.unpack_from("<Q", data)
    if header_bytes > len(data) - 8:
        raise ModelFileError(f"{path}: header of {header_bytes} bytes in a file of {len(data)}")
    try:
        header = json.loads(data[8:8 + header_bytes])
        metadata = header.pop("__metadata__")
        entries = sorted(header.items(), key=lambda item: item[1]["data_offsets"][0])
        tensors: dict[str, np.ndarray] = {}
        end = 8 + header_bytes
        for name, entry in entries:
            first, last = (8 + header_bytes + offset for offset in entry["data_offsets"])
            count = math.prod(entry["shape"])
            if entry["dtype"] != "F32" or first != end or last != first + 4 * count or last > len(data):
                raise ModelFileError(f"{path}: {name}: not {entry['shape']} F32 values right after the one before")
            tensors[name] = np.frombuffer(data, "<f4", count, first).reshape(entry["shape"])
            end = last
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"{path}: not a model file: {error!r}") from None
    if end != len(data):
        raise ModelFileError(f"{path}: {len(data) - end} bytes after the last tensor")
    return metadata, tensors
