"""Loads the tensors of a PyTorch checkpoint without ever running code from it."""

from __future__ import annotations

import hashlib
import io
import pickle
import types
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # torch.save before 1.6: a pickled magic number
NESTED_KEYS = ("state_dict", "model")
FLOAT_DTYPES = ("torch.float16", "torch.bfloat16", "torch.float32", "torch.float64")
ADVICE = "save the weights alone: torch.save(model.state_dict(), FILE)"


class CheckpointError(Exception):
    """A file that holds no usable state_dict."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a state_dict as float64 arrays, in its own order, and the SHA-256 (hex) of the file."""

    tensors: dict[str, np.ndarray]
    sha256: str


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a state_dict, or one nested under `state_dict` or `model`; `module.` in front of every name is dropped.

    Raises CheckpointError, OSError, ImportError (torch).
    """
    data = Path(path).read_bytes()
    try:
        state = _find_state_dict(_load_objects(data))
        tensors = {_strip_prefix(name): _to_float64(name, value, len(data)) for name, value in state.items()}
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if len(tensors) != len(state):
        raise CheckpointError(f"{path}: the same tensor is there with and without the prefix `module.`")
    return Checkpoint(tensors, hashlib.sha256(data).hexdigest())


def _strip_prefix(name: str) -> str:
    while name.startswith("module."):  # DataParallel and DistributedDataParallel, perhaps one in the other
        name = name[len("module."):]
    return name


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
    import torch

    return isinstance(value, torch.Tensor)


def _to_float64(name: str, value: Any, file_bytes: int) -> np.ndarray:
    """`value` as a float64 array; integer tensors (BatchNorm's counter) pass too, quantised and sparse ones do not."""
    import torch

    if not isinstance(value, torch.Tensor):
        raise CheckpointError(f"not a state_dict: {name} is a {type(value).__name__}, expected a tensor")
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        raise CheckpointError(f"{name}: a {value.dtype} tensor ({value.layout}, {value.device}), expected dense floats")
    if value.dtype.is_floating_point and str(value.dtype) not in FLOAT_DTYPES or value.dtype.is_complex:
        raise CheckpointError(f"{name}: {value.dtype}, expected one of {', '.join(FLOAT_DTYPES)}")
    if value.numel() > file_bytes:  # an expanded view may claim any size
        raise CheckpointError(f"{name}: {value.numel()} elements in a file of {file_bytes} bytes")
    return value.detach().to(torch.float64).numpy()


def _load_objects(data: bytes) -> Any:
    """What torch.save wrote, as far as it is made of tensors and plain values."""
    import torch

    if data.startswith(b"PK\x03\x04"):
        _refuse_torchscript(data)
    elif not data.startswith(LEGACY_MAGIC):
        raise CheckpointError("not a PyTorch checkpoint (neither a zip archive nor a torch.save stream)")
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # whatever a damaged file raises; the loader below says why in our words
        # An old torch has no weights_only (1.12 and older), or one that does not know all plain values: 1.13 stops at
        # a float. The loader below accepts no more than tensors and plain values either.
        return _load_restricted(data)


def _refuse_torchscript(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError):
        raise CheckpointError("a damaged zip archive, not a PyTorch checkpoint") from None
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(f"a TorchScript archive, not a state_dict; {ADVICE}")
    if not any(name.endswith("/data.pkl") for name in names):
        raise CheckpointError("a zip archive, but not one that torch.save wrote")


class _Namespace:
    """Stands for argparse.Namespace, which training scripts save beside the weights. Its contents are ignored."""


def _allowed_globals() -> dict[tuple[str, str], Any]:
    import torch

    allowed: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("argparse", "Namespace"): _Namespace,
        ("torch", "Size"): torch.Size,
    }
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"):
        allowed["torch._utils", name] = getattr(torch._utils, name)
    for storage in ("Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool"):
        allowed["torch", f"{storage}Storage"] = getattr(torch, f"{storage}Storage")
    for dtype in ("float32", "float64", "float16", "bfloat16", "uint8", "int8", "int16", "int32", "int64", "bool"):
        allowed["torch", dtype] = getattr(torch, dtype)
    return allowed


def _load_restricted(data: bytes) -> Any:
    """torch.load with an unpickler that knows tensors and plain values only and refuses every other class by name."""
    import torch

    allowed = _allowed_globals()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in allowed:
                raise CheckpointError(f"holds a pickled {module}.{name}, refused because loading it could run code; "
                                      f"{ADVICE}")
            return allowed[module, name]

    restricted = types.ModuleType("restricted_pickle")
    restricted.Unpickler = Unpickler  # type: ignore[attr-defined]
    restricted.load = lambda file, **options: Unpickler(file, **options).load()  # type: ignore[attr-defined]
    options = {"weights_only": False} if "weights_only" in torch.load.__code__.co_varnames else {}
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", pickle_module=restricted, **options)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"a damaged PyTorch checkpoint: {reason}") from None
