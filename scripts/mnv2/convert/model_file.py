"""The model file of models/README.md: one writer and one reader.

Needs numpy only. The writer and the reader share nothing but the description, so that reading back checks writing.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from mnv2.convert.architecture import ConversionError, compact_json
from mnv2.convert.safetensors import SafetensorsError, from_bfloat16, read_safetensors, to_bfloat16

ALIGNMENT = 64  # bytes; the first tensor starts at a multiple of it


class ModelFileError(ConversionError):
    """A model file that does not follow models/README.md."""


def may_be_bfloat16(name: str) -> bool:
    """Whether the tensor is one of those that a file has as BF16, all of them or none: not biases, means and the depthwise
    layers' weights."""
    return name.endswith(".weight") and not name.endswith(".depthwise.weight")


def round_weights(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`tensors` with the weights that a bfloat16 file has rounded so, still float32. Raises ModelFileError."""
    rounded = {name: from_bfloat16(to_bfloat16(tensor)) if may_be_bfloat16(name) else tensor
               for name, tensor in tensors.items()}
    for name, tensor in rounded.items():
        if not np.isfinite(tensor).all():
            raise ModelFileError(f"{name}: has values that are too large for bfloat16; --dtype float32 keeps them")
    return rounded


def write_model_file(path: Path, metadata: dict[str, str], tensors: dict[str, np.ndarray], bfloat16: bool = False) -> None:
    """Writes `tensors` (float32, in this order) and `metadata`, flushed to the disk. With `bfloat16` the weights are those
    of round_weights, and stand after all others, so that every tensor is aligned to its values' size.

    The bytes depend on the arguments alone. Raises OSError.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    halves = {name for name in tensors if bfloat16 and may_be_bfloat16(name)}
    tensors = dict(sorted(tensors.items(), key=lambda item: item[0] in halves))
    stored: list[np.ndarray] = []
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32:
            raise ModelFileError(f"{name}: {tensor.dtype}, expected float32")
        values = to_bfloat16(tensor) if name in halves else np.ascontiguousarray(tensor, dtype="<f4")
        stored.append(values)
        header[name] = {"dtype": "BF16" if name in halves else "F32", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = compact_json(header).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for values in stored:
            file.write(values.tobytes())
        file.flush()
        os.fsync(file.fileno())


def read_model_file(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Reads (metadata, tensors as float32) and checks the container: F32 tensors, and BF16 ones where they may be, one after
    the other, to the end of the file.

    Raises ModelFileError, OSError.
    """
    try:
        metadata, tensors = read_safetensors(Path(path).read_bytes())
    except SafetensorsError as error:
        raise ModelFileError(f"{path}: {error}") from None
    bfloat16 = any(dtype == "BF16" for dtype, _ in tensors.values())
    for name, (dtype, _) in tensors.items():
        expected = "BF16" if bfloat16 and may_be_bfloat16(name) else "F32"
        if dtype != expected:
            raise ModelFileError(f"{path}: {name}: {dtype}, expected {expected}")
    return metadata, {name: values for name, (_, values) in tensors.items()}
