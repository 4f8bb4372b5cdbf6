"""Loads the tensors of a PyTorch checkpoint without ever running code from it, and without PyTorch."""

from __future__ import annotations

import hashlib
import io
import math
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Sequence

import numpy as np

from mnv2.convert.architecture import ConversionError
from mnv2.convert.safetensors import SafetensorsError, looks_like_safetensors, read_safetensors
from mnv2.convert.unpickle import LEGACY_MAGIC, RefusedError, TensorView, UnusableTensor, load_plain

LEGACY_START = pickle.dumps(LEGACY_MAGIC, protocol=2)
NESTED_KEYS = ("state_dict", "model")
# PyTorch's names of the types in a safetensors file.
TORCH_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
               "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"}
FLOAT_DTYPES = ("torch.float16", "torch.bfloat16", "torch.float32", "torch.float64")
# DataParallel, torch.compile and the attribute under which training code keeps a network put a name in front of all names.
ADDED_PREFIXES = ("module.", "_orig_mod.")
WRAPPERS = ("model.", "net.", "network.", "backbone.")
# What torch.ao.quantization adds to the names, or makes of them.
QUANTISED = re.compile(r"(^|\.)(scale|zero_point|_packed_params|activation_post_process|weight_fake_quant|fake_quant_enabled)"
                       r"(\.|$)")
ADVICE = "save the weights alone: torch.save(model.state_dict(), FILE)"


class CheckpointError(ConversionError):
    """A file that holds no usable state_dict."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a state_dict as float64 arrays, in its own order, and the SHA-256 (hex) of the file."""

    tensors: dict[str, np.ndarray]
    sha256: str


@dataclass(frozen=True)
class SafetensorsTensor:
    """The values of a tensor of a safetensors file, with PyTorch's name of their type."""

    dtype: str
    values: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def array(self, _: int) -> np.ndarray:
        return self.values


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a state_dict, or one nested under `state_dict` or `model`, of torch.save or in a safetensors file; names of
    wrappers, such as `module.`, in front of every name are dropped.

    Raises CheckpointError, OSError.
    """
    data = Path(path).read_bytes()
    try:
        state = _find_state_dict(_load_objects(data))
        refuse_quantised(state)
        names = without_wrappers(list(state))
        tensors = {names[name]: to_float64(name, value, len(data)) for name, value in state.items()}
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if len(tensors) != len(state):
        raise CheckpointError(f"{path}: the same tensor is there with and without the prefix `module.`")
    return Checkpoint(tensors, hashlib.sha256(data).hexdigest())


def without_wrappers(names: Sequence[str]) -> dict[str, str]:
    """Each of `names` without what wrappers have put in front of it."""
    stripped = {name: _without_added(name) for name in names}
    while True:
        first = next(iter(stripped.values()), "")
        wrapper = next((prefix for prefix in WRAPPERS if first.startswith(prefix)), None)
        if wrapper is None or not all(short.startswith(wrapper) for short in stripped.values()):
            return stripped
        stripped = {name: _without_added(short[len(wrapper):]) for name, short in stripped.items()}


def _without_added(name: str) -> str:
    while name.startswith(ADDED_PREFIXES):
        name = name[name.index(".") + 1:]
    return name


def refuse_quantised(names: Iterable[str]) -> None:
    """Raises CheckpointError when `names` are those of a network that is quantised or prepared for it."""
    for name in names:
        if QUANTISED.search(name):
            raise CheckpointError(f"{name}: a quantised network, or one prepared for it; convert the float network instead, "
                              "as it was before fuse_model() and prepare()")


def _find_state_dict(loaded: Any) -> dict[str, Any]:
    """The innermost state_dict; names are strings, values anything."""
    while isinstance(loaded, dict):
        nested = next((key for key in NESTED_KEYS if key in loaded and not _is_tensor(loaded[key])), None)
        if nested is None:
            break
        loaded = loaded[nested]
    if not isinstance(loaded, dict):
        raise CheckpointError(f"holds a {type(loaded).__name__}, not a state_dict; {ADVICE}")
    if not loaded:
        raise CheckpointError("holds an empty dictionary, not a state_dict")
    for name in loaded:
        if not isinstance(name, str):
            raise CheckpointError(f"not a state_dict: the key {name!r} is no name of a tensor")
    return loaded


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (TensorView, UnusableTensor, SafetensorsTensor))


def to_float64(name: str, value: Any, file_bytes: int) -> np.ndarray:
    """`value` as a float64 array. Of integers only BatchNorm's counter passes; it plays no part in inference."""
    if isinstance(value, UnusableTensor):
        raise CheckpointError(f"{name}: a tensor of {value.kind}, expected a dense one with values")
    if not isinstance(value, (TensorView, SafetensorsTensor)):
        raise CheckpointError(f"not a state_dict: {name} is a {type(value).__name__}, expected a tensor")
    check_dtype(name, value.dtype)
    elements = math.prod(value.shape)
    if elements > file_bytes:  # an expanded view may claim any size
        raise CheckpointError(f"{name}: {elements} elements in a file of {file_bytes} bytes")
    try:
        with np.errstate(invalid="ignore"):  # what is not finite is found when it is known to be a part of the network
            return np.asarray(value.array(file_bytes), np.float64)
    except RefusedError as error:
        raise CheckpointError(f"{name}: {error}") from None


def check_dtype(name: str, dtype: str) -> None:
    """Refuses what is neither floating point nor BatchNorm's counter. Raises CheckpointError."""
    if dtype not in FLOAT_DTYPES and not name.endswith(".num_batches_tracked"):
        raise CheckpointError(f"{name}: {dtype}, expected one of {', '.join(FLOAT_DTYPES)}")


def _load_objects(data: bytes) -> Any:
    """What torch.save wrote, as far as it is made of tensors and plain values."""
    if looks_like_safetensors(data):
        try:
            return {name: SafetensorsTensor(f"torch.{TORCH_NAMES[dtype]}", values)
                    for name, (dtype, values) in read_safetensors(data)[1].items()}
        except SafetensorsError as error:
            raise CheckpointError(str(error)) from None
    if data.startswith(b"PK\x03\x04"):
        _refuse_other_archives(data)
    elif not data.startswith(LEGACY_START):
        raise CheckpointError("not a PyTorch checkpoint (neither a zip archive nor a torch.save stream), nor safetensors")
    try:
        return load_plain(data)
    except RefusedError as error:
        if "_rebuild_qtensor" in str(error):
            raise CheckpointError("holds quantised tensors; convert the float network instead, as it was before "
                                  "quantisation") from None
        raise CheckpointError(f"{error}; {ADVICE}" if "refused" in str(error) else str(error)) from None


def _refuse_other_archives(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError):
        raise CheckpointError("a damaged zip archive, not a PyTorch checkpoint") from None
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(f"a TorchScript archive, not a state_dict; {ADVICE}")
    if not any(name.endswith("/data.pkl") for name in names):
        raise CheckpointError("a zip archive, but not one that torch.save wrote")
