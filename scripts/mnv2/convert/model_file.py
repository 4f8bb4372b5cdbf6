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
from mnv2.convert.safetensors import SafetensorsError, read_safetensors

ALIGNMENT = 64  # bytes; the first tensor starts at a multiple of it


class ModelFileError(ConversionError):
    """A model file that does not follow models/README.md."""


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
    try:
        metadata, tensors = read_safetensors(Path(path).read_bytes())
    except SafetensorsError as error:
        raise ModelFileError(f"{path}: {error}") from None
    for name, (dtype, _) in tensors.items():
        if dtype != "F32":
            raise ModelFileError(f"{path}: {name}: {dtype}, expected F32")
    return metadata, {name: values for name, (_, values) in tensors.items()}
