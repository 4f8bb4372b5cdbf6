"""HDF5 files through h5_worker.py, which may crash on them."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

import numpy as np

from mnv2.convert.source import SourceError

WORKER = Path(__file__).with_name("h5_worker.py")
SECONDS = 300.0


def read_h5_file(path: Path) -> tuple[Optional[str], dict[str, np.ndarray]]:
    """(model_config, arrays by name) as h5_worker.py describes them. Raises SourceError, ImportError without h5py."""
    if importlib.util.find_spec("h5py") is None:
        raise ImportError("HDF5 is read by h5py, which is missing; on Debian: apt-get install python3-h5py")
    # One thread: each would take some of the addresses that the process may have.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_USE_FILE_LOCKING": "FALSE"}
    try:
        done = subprocess.run([sys.executable, str(WORKER), str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=SECONDS, env=environment)
    except subprocess.TimeoutExpired:
        raise SourceError(f"a damaged HDF5 file: it was not read in {SECONDS:.0f} seconds") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode < 0:
            lines = [f"the HDF5 library crashed on it (signal {-done.returncode})"]
        raise SourceError(f"a damaged HDF5 file: {lines[-1][:200] if lines else 'no more is said'}")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    config = arrays.pop("config", None)
    return (None if config is None else config.tobytes().decode(),
            {name.split(" ", 2)[2]: values.astype(np.float64) for name, values in arrays.items()})
