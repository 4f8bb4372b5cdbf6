"""Reads the safetensors container: 8 bytes length of the header, a JSON header, then the tensors' bytes without gaps.
And bfloat16, which NumPy does not know."""

from __future__ import annotations

import json
import math
import struct

import numpy as np

# A bfloat16 is the upper half of a float32.
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
          "U8": "<u1", "BOOL": "|b1"}


class SafetensorsError(Exception):
    """Bytes that are no safetensors file."""


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Finite float32 as uint16, rounded to nearest, ties to even; what is nearer to 2^128 becomes infinite."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype("<u2")


def from_bfloat16(values: np.ndarray) -> np.ndarray:
    """The uint16 of to_bfloat16 as float32."""
    return (values.astype(np.uint32) << 16).view(np.float32)


def looks_like_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def read_safetensors(data: bytes) -> tuple[dict[str, str], dict[str, tuple[str, np.ndarray]]]:
    """(metadata, (dtype, values) by name); BF16 values are float32. Every byte belongs to one tensor.

    Raises SafetensorsError.
    """
    if len(data) < 8:
        raise SafetensorsError(f"{len(data)} bytes, too short for a safetensors file")
    (header_bytes,) = struct.unpack_from("<Q", data)
    if header_bytes > len(data) - 8:
        raise SafetensorsError(f"header of {header_bytes} bytes in a file of {len(data)}")
    try:
        header = json.loads(data[8:8 + header_bytes])
        metadata = header.pop("__metadata__", {})
        entries = sorted(header.items(), key=lambda item: item[1]["data_offsets"][0])
        tensors: dict[str, tuple[str, np.ndarray]] = {}
        end = 8 + header_bytes
        for name, entry in entries:
            dtype, shape = np.dtype(DTYPES[entry["dtype"]]), entry["shape"]
            first, last = (8 + header_bytes + offset for offset in entry["data_offsets"])
            count = math.prod(shape)
            if first != end or last != first + dtype.itemsize * count or last > len(data) or any(size < 0 for size in shape):
                raise SafetensorsError(f"{name}: not {shape} {entry['dtype']} values right after the one before")
            values = np.frombuffer(data, dtype, count, first).reshape(shape)
            if entry["dtype"] == "BF16":
                values = from_bfloat16(values)
            tensors[name] = (entry["dtype"], values)
            end = last
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise SafetensorsError(f"a damaged safetensors file: {error!r}") from None
    if end != len(data):
        raise SafetensorsError(f"{len(data) - end} bytes after the last tensor")
    return metadata, tensors
