"""Which kind of file a source is, told by its bytes and not by its name, and the reader for it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Optional

from mnv2.convert.architecture import ConversionError
from mnv2.convert.pytorch_file import looks_like_pytorch
from mnv2.convert.source import Source, SourceError

# What reading damaged bytes can raise, wherever they are first found to make no sense.
DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, ZeroDivisionError, RecursionError,
          AssertionError, EOFError, NotImplementedError, struct.error)


def read_source(path: Path, key: Optional[str] = None) -> Source:
    """The network in `path`, a file or folder. Raises ConversionError, OSError, ImportError."""
    try:
        return _read(path, key)
    except DAMAGE as error:
        raise SourceError(f"{path}: damaged, or a kind of it that is not known ({type(error).__name__}: "
                          f"{str(error)[:200] or 'no more is said'})") from None


def _read(path: Path, key: Optional[str]) -> Source:
    if path.is_dir():
        return _read_folder(path, key)
    from mnv2.convert.read_onnx import looks_like_onnx

    data = path.read_bytes()
    if looks_like_pytorch(data):
        from mnv2.convert.read_state import read_state_file

        return read_state_file(path, key)
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        from mnv2.convert.read_keras import read_h5

        return read_h5(path, data)
    if data.lstrip()[:1] == b"{" and b"modelTopology" in data:
        from mnv2.convert.read_tfjs import read_tfjs

        return read_tfjs(path)
    if data[4:8] == b"TFL3":
        from mnv2.convert.read_tflite import read_tflite

        return read_tflite(path, data)
    if looks_like_onnx(data):
        from mnv2.convert.read_onnx import read_onnx

        return read_onnx(path, data)
    raise ConversionError(f"{path}: {describe_unknown(path, data)}")


def _read_folder(path: Path, key: Optional[str]) -> Source:
    if (path / "model.json").is_file():
        return _read(path / "model.json", key)
    raise ConversionError(f"{path}: a folder without model.json (TensorFlow.js) or config.json (Hugging Face)")


def describe_unknown(path: Path, data: bytes) -> str:
    """What is wrong with a file that no reader takes."""
    if not data:
        return "an empty file"
    if path.suffix == ".h5":
        return "no HDF5 file, whatever its name says"
    return ("no kind of file that is known here: PyTorch, safetensors, Keras (.h5, .keras), TensorFlow.js (model.json), TFLite, "
            "ONNX, or a folder of Hugging Face's")
