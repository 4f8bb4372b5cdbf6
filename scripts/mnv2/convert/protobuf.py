"""Protocol buffers by the numbers of their fields (https://protobuf.dev/programming-guides/encoding); every length is checked."""

from __future__ import annotations

import struct
from typing import Union

import numpy as np

Raw = Union[int, bytes]  # a varint or fixed number, or what has a length
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class Message:
    """The fields of one message; what is not in it has the defaults of protocol buffers. Raises ValueError on damage."""

    def __init__(self, data: bytes) -> None:
        self.fields: dict[int, list[Raw]] = {}
        at = 0
        while at < len(data):
            key, at = _varint(data, at)
            number, kind = key >> 3, key & 7
            value: Raw
            if kind == VARINT:
                value, at = _varint(data, at)
            elif kind in (FIXED64, FIXED32):
                size = 8 if kind == FIXED64 else 4
                value, at = int.from_bytes(_cut(data, at, size), "little"), at + size
            elif kind == LENGTH:
                size, at = _varint(data, at)
                value, at = _cut(data, at, size), at + size
            else:
                raise ValueError(f"a protocol buffer with a field of the kind {kind}")
            if number == 0:
                raise ValueError("a protocol buffer with a field of the number 0")
            self.fields.setdefault(number, []).append(value)

    def bytes(self, number: int) -> bytes:
        value = self.fields.get(number, [b""])[-1]
        if isinstance(value, int):
            raise ValueError(f"a number in the field {number}")
        return value

    def text(self, number: int) -> str:
        return self.bytes(number).decode()

    def texts(self, number: int) -> list[str]:
        return [_need(value).decode() for value in self.fields.get(number, [])]

    def messages(self, number: int) -> list["Message"]:
        return [Message(_need(value)) for value in self.fields.get(number, [])]

    def message(self, number: int) -> "Message":
        return Message(self.bytes(number))

    def has(self, number: int) -> bool:
        return number in self.fields

    def integer(self, number: int, default: int = 0) -> int:
        """A signed 64-bit number."""
        value = self.fields.get(number, [default])[-1]
        if not isinstance(value, int):
            raise ValueError(f"no number in the field {number}")
        return _signed(value)

    def integers(self, number: int) -> list[int]:
        """Packed or one by one."""
        found: list[int] = []
        for value in self.fields.get(number, []):
            if isinstance(value, int):
                found.append(_signed(value))
                continue
            at = 0
            while at < len(value):
                one, at = _varint(value, at)
                found.append(_signed(one))
        return found

    def real(self, number: int) -> float:
        value = self.fields.get(number, [0])[-1]
        if not isinstance(value, int):
            raise ValueError(f"no number in the field {number}")
        return struct.unpack("<f", value.to_bytes(4, "little"))[0]

    def reals(self, number: int, dtype: str) -> np.ndarray:
        width = np.dtype(dtype).itemsize
        parts = [value.to_bytes(width, "little") if isinstance(value, int) else value for value in self.fields.get(number, [])]
        return np.frombuffer(b"".join(parts), dtype)


def _need(value: Raw) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message is expected")
    return value


def _cut(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("a protocol buffer that ends too early")
    return data[at:at + size]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a protocol buffer that ends too early")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
