"""Reads what torch.save wrote without torch.load: only tensors and plain values. Every other class is refused by name, or
an inert object stands in for it.

It takes no PyTorch, which is a gigabyte on the disk, and reads the same whichever version there is.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.save before 1.6 begins with this number, pickled
LEGACY_PROTOCOL = 1001
# The classes of storages that hold numbers; a bfloat16 is the upper half of a float32.
STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
            "ByteStorage": "<u1", "CharStorage": "<i1", "ShortStorage": "<i2", "IntStorage": "<i4",
            "LongStorage": "<i8", "BoolStorage": "|b1", "ComplexFloatStorage": "<c8", "ComplexDoubleStorage": "<c16"}
TORCH_NAMES = {"FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
               "ByteStorage": "uint8", "CharStorage": "int8", "ShortStorage": "int16", "IntStorage": "int32",
               "LongStorage": "int64", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
               "ComplexDoubleStorage": "complex128"}


class RefusedError(Exception):
    """A pickle that holds more than tensors and plain values, or a damaged one."""


@dataclass(frozen=True)
class StorageType:
    name: str


@dataclass
class Storage:
    """Numbers in a row, shared by tensors; `data` is set once its bytes have been found."""

    kind: StorageType
    count: int
    data: Optional[np.ndarray] = None

    def fill(self, raw: bytes) -> None:
        values = np.frombuffer(raw, STORAGES[self.kind.name])
        if len(values) != self.count:
            raise RefusedError(f"a storage of {len(values)} values, expected {self.count}")
        if self.kind.name == "BFloat16Storage":
            values = (values.astype("<u4") << 16).view("<f4")
        self.data = values


@dataclass(frozen=True)
class TensorView:
    """A tensor whose storage may still be empty; offset and stride in values, as in PyTorch."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """PyTorch's name of it."""
        return f"torch.{TORCH_NAMES[self.storage.kind.name]}"

    def array(self, max_values: int) -> np.ndarray:
        """A copy of the values. Raises RefusedError when they reach over the storage or are more than `max_values`."""
        data = self.storage.data
        if data is None:
            raise RefusedError("a tensor without values")
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, data.dtype)
        end = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.stride)) + 1
        if end > len(data) or math.prod(self.shape) > max_values:
            raise RefusedError(f"a tensor of shape {self.shape} on a storage of {len(data)} values")
        steps = [step * data.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(data[self.offset:], self.shape, steps).copy()


class Inert(dict):
    """Stands for an object of a class that is not loaded. It does nothing, whatever it is given, but a dictionary's items
    stay its own: people save weights in dictionaries of all kinds."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass

    extend = add = append

    __hash__ = object.__hash__  # as an element of a set or a key


@dataclass(frozen=True)
class UnusableTensor:
    """A tensor that is no dense one: `kind` is the name of its layout."""

    kind: str


def _rebuild_sparse(layout: str, *_: Any) -> UnusableTensor:
    return UnusableTensor(layout)


def _get_layout(name: str) -> str:
    return str(name)


def _rebuild_from_type(rebuild: Any, _type: Any, arguments: tuple[Any, ...], _state: Any) -> Any:
    return rebuild(*arguments)


def _rebuild_tensor(storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...],
                    *_: Any) -> TensorView:
    if not isinstance(storage, Storage):
        raise RefusedError("a tensor without a storage")
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
        raise RefusedError(f"a tensor of shape {shape} and stride {stride}")
    return TensorView(storage, offset, tuple(shape), tuple(stride))


def _rebuild_parameter(tensor: TensorView, *_: Any) -> TensorView:
    return tensor


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Inert,
    ("argparse", "Namespace"): Inert,
    ("torch", "Size"): tuple,
    ("torch", "device"): Inert,
    ("torch", "Tensor"): Inert,
    ("torch.nn.parameter", "Parameter"): Inert,
    **{("torch", name): Inert() for name in TORCH_NAMES.values()},
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
    ("torch._utils", "_rebuild_sparse_tensor"): _rebuild_sparse,
    ("torch.serialization", "_get_layout"): _get_layout,
    **{("torch", name): StorageType(name) for name in STORAGES},
}


class _Unpickler(pickle.Unpickler):
    """Knows the classes of ALLOWED; `storages` collects the storages by their keys. With `inert`, a list that gets the
    names of all other classes, an Inert stands in for each of their objects."""

    def __init__(self, file: io.BytesIO, inert: Optional[list[str]] = None) -> None:
        _check_memo(file)
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, Storage] = {}
        self.inert = inert

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED and self.inert is not None:
            if f"{module}.{name}" not in self.inert:
                self.inert.append(f"{module}.{name}")
            return type("Inert", (Inert,), {})
        if (module, name) not in ALLOWED:
            raise RefusedError(f"holds a pickled {module}.{name}, refused because loading it could run code")
        return ALLOWED[module, name]

    def persistent_load(self, identity: Any) -> Storage:
        # ("storage", type, key, device, count), and in the old format a view, which is None since 0.4
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            raise RefusedError("holds a pickled module, refused because loading it could run code")
        kind, key, count = identity[1], identity[2], identity[4]
        view = identity[5:] not in ((), (None,))
        if not isinstance(kind, StorageType) or not isinstance(key, str) or view:
            raise RefusedError("a storage of an unknown kind")
        return self.storages.setdefault(key, Storage(kind, count))


def _check_memo(file: io.BytesIO) -> None:
    """Refuses a pickle that would make Python's own reader fill gigabytes with nothing but an index."""
    start = file.tell()
    size = len(file.getbuffer()) - start
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("LONG_BINPUT", "PUT") and argument > size:
            raise RefusedError(f"a damaged PyTorch checkpoint: object {argument} in a pickle of {size} bytes")
    file.seek(start)


def load_plain(data: bytes, inert: Optional[list[str]] = None) -> Any:
    """The objects in the bytes of a file of torch.save; tensors are TensorViews. Classes other than those of tensors and
    plain values are refused, or with `inert`, a list that gets their names, an Inert stands for each object.
    Raises RefusedError."""
    try:
        return _load_zip(data, inert) if data.startswith(b"PK") else _load_legacy(io.BytesIO(data), inert)
    except RefusedError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise RefusedError(f"a damaged PyTorch checkpoint: {str(error) or type(error).__name__}") from None


def _load_zip(data: bytes, inert: Optional[list[str]]) -> Any:
    """torch.save since 1.6: <folder>/data.pkl, and one file <folder>/data/<key> for each storage."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()) or len(pickles) != 1:
            raise RefusedError("a zip archive that torch.save did not write")
        folder = pickles[0].rsplit("/", 1)[0]
        if f"{folder}/byteorder" in archive.namelist() and archive.read(f"{folder}/byteorder") != b"little":
            raise RefusedError("saved on a big-endian machine")
        unpickler = _Unpickler(io.BytesIO(archive.read(pickles[0])), inert)
        loaded = unpickler.load()
        for key, storage in unpickler.storages.items():
            storage.fill(archive.read(f"{folder}/data/{key}"))
    return loaded


def _load_legacy(file: io.BytesIO, inert: Optional[list[str]]) -> Any:
    """torch.save before 1.6: magic, protocol, machine, objects, keys of storages, and per key a count and values."""
    if (_Unpickler(file).load(), _Unpickler(file).load()) != (LEGACY_MAGIC, LEGACY_PROTOCOL):
        raise RefusedError("not a file of torch.save")
    if not _Unpickler(file).load()["little_endian"]:
        raise RefusedError("saved on a big-endian machine")
    unpickler = _Unpickler(file, inert)
    loaded = unpickler.load()
    for key in _Unpickler(file).load():
        storage = unpickler.storages[key]
        count = int.from_bytes(file.read(8), "little")
        width = np.dtype(STORAGES[storage.kind.name]).itemsize
        storage.fill(file.read(min(count, storage.count) * width))
    return loaded
