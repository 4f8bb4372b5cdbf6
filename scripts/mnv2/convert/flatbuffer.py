"""Tables of a FlatBuffers file (https://flatbuffers.dev/internals), by the numbers of their fields; every offset is checked."""

from __future__ import annotations

import struct
from typing import Optional

import numpy as np


class Table:
    """One table; a field that is absent gives the default of its reader. Raises ValueError or struct.error on damage."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        (back,) = struct.unpack_from("<i", data, at)
        self.vtable = at - back
        if self.vtable < 0:
            raise ValueError("a table whose description lies before the file")
        (self.size,) = struct.unpack_from("<H", data, self.vtable)

    @staticmethod
    def root(data: bytes) -> "Table":
        return Table(data, struct.unpack_from("<I", data, 0)[0])

    def _field(self, number: int) -> Optional[int]:
        entry = 4 + 2 * number
        if entry + 2 > self.size:
            return None
        (offset,) = struct.unpack_from("<H", self.data, self.vtable + entry)
        return self.at + offset if offset else None

    def number(self, field: int, kind: str = "i", default: int = 0) -> int:
        """`kind` as in struct: b, B, i, I, q."""
        at = self._field(field)
        return default if at is None else struct.unpack_from("<" + kind, self.data, at)[0]

    def table(self, field: int) -> Optional["Table"]:
        at = self._field(field)
        return None if at is None else Table(self.data, at + struct.unpack_from("<I", self.data, at)[0])

    def _vector(self, field: int, width: int) -> tuple[int, int]:
        """(where the first element is, how many)."""
        at = self._field(field)
        if at is None:
            return 0, 0
        at += struct.unpack_from("<I", self.data, at)[0]
        (count,) = struct.unpack_from("<I", self.data, at)
        if at + 4 + count * width > len(self.data):
            raise ValueError(f"{count} elements that reach over the end of the file")
        return at + 4, count

    def values(self, field: int, dtype: str) -> np.ndarray:
        dtype_ = np.dtype(dtype)
        at, count = self._vector(field, dtype_.itemsize)
        return np.frombuffer(self.data, dtype_, count, at) if count else np.zeros(0, dtype_)

    def tables(self, field: int) -> list["Table"]:
        at, count = self._vector(field, 4)
        places = range(at, at + 4 * count, 4)
        return [Table(self.data, place + struct.unpack_from("<I", self.data, place)[0]) for place in places]

    def text(self, field: int) -> str:
        return self.values(field, "u1").tobytes().decode("utf-8", "replace")
