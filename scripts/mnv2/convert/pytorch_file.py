"""Finds the weights in a PyTorch file with numpy alone, whatever was saved beside them; nothing in the file is run."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

import numpy as np

from mnv2.convert.checkpoint import ADVICE, LEGACY_START, Checkpoint, CheckpointError, refuse_quantised, without_wrappers
from mnv2.convert.safetensors import SafetensorsError, looks_like_safetensors, read_safetensors
from mnv2.convert.unpickle import RefusedError, TensorView, load_plain

FIRST_KEYS = ("state_dict", "model")  # where a file has several state_dicts; then the others, averaged ones last
AVERAGED = ("ema", "swa", "averag", "teacher")
MAX_DEPTH = 5  # of dictionaries around a state_dict
MAX_CANDIDATES = 20


@dataclass(frozen=True)
class FoundState:
    """The tensors of a state_dict, float64; `key` is where it was in the file, `others` are the keys that were not taken."""

    tensors: dict[str, np.ndarray]
    sha256: str
    key: str
    others: tuple[str, ...]

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.tensors, self.sha256)


def looks_like_pytorch(data: bytes) -> bool:
    return data.startswith((b"PK\x03\x04", LEGACY_START)) or looks_like_safetensors(data)


def read_pytorch(path: Path, key: Optional[str] = None) -> FoundState:
    """The state_dict in the file at `path`; `key`, with dots between levels, chooses one of several.

    Raises CheckpointError, OSError.
    """
    data = Path(path).read_bytes()
    try:
        return find_state(data, key)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def find_state(data: bytes, key: Optional[str] = None) -> FoundState:
    """As read_pytorch, from the bytes of a file."""
    loaded, refused = _load(data)
    candidates = list(_candidates(loaded))
    if not candidates:
        if refused:
            raise CheckpointError(f"holds a pickled {refused[0]}, refused because loading it could run code; {ADVICE}")
        what = "an empty dictionary" if loaded == {} else f"a {type(loaded).__name__}"
        raise CheckpointError(f"holds {what}, not a state_dict; {ADVICE}")
    keys = [where for where, _ in candidates]
    if key is not None:
        chosen = [candidate for candidate in candidates if candidate[0] == key]
        if not chosen:
            raise CheckpointError(f"--key {key}: no state_dict there; those of this file: "
                                  f"{', '.join(where or '(the file itself)' for where in keys)}")
        where, state = chosen[0]
    else:
        where, state = min(candidates, key=lambda candidate: _rank(candidate[0]))
    refuse_quantised(name for name in state if isinstance(name, str))
    names = without_wrappers([name for name, value in state.items() if isinstance(name, str) and is_tensor(value)])
    tensors: dict[str, np.ndarray] = {}
    for name, short in names.items():
        if short in tensors:
            raise CheckpointError(f"{short}: the same tensor is there with and without the prefix `module.`")
        tensors[short] = _to_float64(name, state[name], len(data))
    return FoundState(tensors, hashlib.sha256(data).hexdigest(), where, tuple(other for other in keys if other != where))


def is_tensor(value: Any) -> bool:
    return isinstance(value, (np.ndarray, TensorView))


def _rank(where: str) -> tuple[int, int]:
    """What is taken first, of the keys of several state_dicts."""
    last = where.rpartition(".")[2]
    averaged = any(word in last.lower() for word in AVERAGED)
    return (FIRST_KEYS.index(last) if last in FIRST_KEYS else len(FIRST_KEYS) + averaged, where.count("."))


def _candidates(loaded: Any, where: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """(key, state_dict) of each dictionary with the tensor of a convolution in it, the outermost first."""
    if not isinstance(loaded, dict) or depth > MAX_DEPTH:
        return
    if any(is_tensor(value) and len(value.shape) == 4 for value in loaded.values()):
        yield where, loaded
        return
    for key, value in loaded.items():
        if isinstance(key, str) and isinstance(value, dict):
            yield from _candidates(value, f"{where}.{key}" if where else key, depth + 1)


def _to_float64(name: str, value: Any, file_bytes: int) -> np.ndarray:
    try:
        array = value.array(file_bytes) if isinstance(value, TensorView) else value
    except RefusedError as error:
        raise CheckpointError(f"{name}: {error}") from None
    with np.errstate(invalid="ignore"):  # what is not finite is found when it is known to be a part of the network
        return array.astype(np.float64)


def _load(data: bytes) -> tuple[Any, list[str]]:
    """What the file holds, and the names of the classes that inert objects stand for."""
    if looks_like_safetensors(data):
        try:
            return {name: values for name, (_, values) in read_safetensors(data)[1].items()}, []
        except SafetensorsError as error:
            raise CheckpointError(str(error)) from None
    if data.startswith(b"PK\x03\x04"):
        _refuse_other_archives(data)
    elif not data.startswith(LEGACY_START):
        raise CheckpointError("not a PyTorch checkpoint (neither a zip archive nor a torch.save stream), nor safetensors")
    inert: list[str] = []
    try:
        return load_plain(data, inert), inert
    except RefusedError as error:
        if "_rebuild_qtensor" in str(error) or any(name.endswith("_rebuild_qtensor") for name in inert):
            raise CheckpointError("holds quantised tensors; convert the float network instead, as it was before "
                                  "quantisation") from None
        raise CheckpointError(f"{error}; {ADVICE}" if "refused" in str(error) else str(error)) from None


def _refuse_other_archives(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError, OSError, EOFError):
        raise CheckpointError("a damaged zip archive, not a PyTorch checkpoint") from None
    if any(name.endswith("/constants.pkl") for name in names):
        raise CheckpointError(f"a TorchScript archive, not a state_dict; {ADVICE}")
    if not any(name.endswith("/data.pkl") for name in names):
        raise CheckpointError("a zip archive, but not one that torch.save wrote")
