"""Which kind of file a source is, told by its bytes and not by its name, and the reader for it."""

from __future__ import annotations

import io
import shutil
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Optional

from mnv2.convert.architecture import ConversionError
from mnv2.convert.pytorch_file import looks_like_pytorch
from mnv2.convert.source import Source, SourceError

# What reading damaged bytes can raise, wherever they are first found to make no sense.
DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, ZeroDivisionError, RecursionError,
          AssertionError, EOFError, NotImplementedError, struct.error)


MODEL_SUFFIXES = (".h5", ".keras", ".tflite", ".onnx", ".pth", ".pt", ".ckpt", ".safetensors", ".bin")
MAX_UNPACKED = 1 << 30  # bytes


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
    if data.startswith(b"PK\x03\x04"):
        found = _read_zip(path, data, key)
        if found is not None:
            return found
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
    if (path / "config.json").is_file():
        from mnv2.convert.read_hugging_face import read_hugging_face

        return read_hugging_face(path)
    raise ConversionError(f"{path}: a folder without model.json (TensorFlow.js) or config.json (Hugging Face)")


def _read_zip(path: Path, data: bytes, key: Optional[str]) -> Optional[Source]:
    """The source in a zip archive; None for PyTorch's own."""
    from mnv2.convert.read_keras_zip import is_keras, read_keras_zip

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if any(name.endswith(("/data.pkl", "/constants.pkl")) for name in names):
                return None
            if is_keras(names):
                return read_keras_zip(path, archive, data)
            with tempfile.TemporaryDirectory() as folder:
                try:
                    return _read_unpacked(path, archive, Path(folder), key)
                except ConversionError as error:  # names the file as it is called in the archive
                    raise SourceError(str(error).replace(f"{folder}/", f"{path}: ").replace(folder, str(path))) from None
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:  # RuntimeError: a password
        raise SourceError(f"{path}: a damaged zip archive, or one with a password: {error}") from None


def _read_unpacked(path: Path, archive: zipfile.ZipFile, folder: Path, key: Optional[str]) -> Source:
    """Unpacks what a site hands out, model and labels, into `folder` by their last names, and reads the model."""
    if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED:
        raise SourceError(f"{path}: more than {MAX_UNPACKED >> 20} MiB when unpacked")
    files: list[Path] = []
    for info in archive.infolist():
        name = PurePosixPath(info.filename).name
        if info.is_dir() or "__MACOSX" in info.filename or name.startswith("."):
            continue
        target = folder / name
        if target.exists() or len(name) > 200:
            raise SourceError(f"{path}: two files of the name {name[:40]}")
        with archive.open(info) as packed, open(target, "wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        files.append(target)
    if (folder / "model.json").is_file() or (folder / "config.json").is_file():
        return _renamed(path, _read_folder(folder, key))
    models = [file for file in files if file.suffix.lower() in MODEL_SUFFIXES]
    if len(models) != 1:
        found = ", ".join(file.name for file in models) or "no file of such a name"
        raise SourceError(f"{path}: {len(models)} models in it ({found}), expected one of {', '.join(MODEL_SUFFIXES)}, or a "
                          "model.json or config.json")
    return _renamed(path, _read(models[0], key))


def _renamed(path: Path, source: Source) -> Source:
    source.title += f" in {path.suffix or 'a zip archive'}"
    return source


def describe_unknown(path: Path, data: bytes) -> str:
    """What is wrong with a file that no reader takes."""
    if not data:
        return "an empty file"
    if path.suffix == ".h5":
        return "no HDF5 file, whatever its name says"
    return ("no kind of file that is known here: PyTorch, safetensors, Keras (.h5, .keras), TensorFlow.js (model.json), TFLite, "
            "ONNX, or a folder of Hugging Face's")
