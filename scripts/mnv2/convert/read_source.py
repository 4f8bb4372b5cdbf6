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
    data = path.read_bytes()
    if looks_like_pytorch(data):
        from mnv2.convert.read_state import read_state_file

        return read_state_file(path, key)
    raise ConversionError(f"{path}: no kind of file that is known here")
