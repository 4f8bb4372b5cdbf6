"""Finds an interpreter for a script that was started with one that lacks what it needs.

A script's first line starts whatever `python3` is first on $PATH; Debian's python3-torch belongs to /usr/bin/python3.
"""

from __future__ import annotations

import importlib.util
import os
import sys

SYSTEM_PYTHON = "/usr/bin/python3"
HANDED_OVER = "MNV2_HANDED_OVER"  # an environment variable, set for the interpreter that was handed over to
DEBIAN_PACKAGES = {"PIL": "python3-pil"}  # those that are not called python3- and the module's name


def need(*modules: str) -> None:
    """Returns when `modules` can be imported; else starts the script anew with $PYTHON or the system's interpreter.

    Ends the process with a message when that one lacks them too.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    handed_over = os.environ.pop(HANDED_OVER, None)
    if not missing:
        return
    python = os.environ.get("PYTHON") or SYSTEM_PYTHON
    why = f"{sys.executable} has no module {' or '.join(missing)}"
    if handed_over is None:
        try:
            os.execvpe(python, [python, *sys.argv], {**os.environ, HANDED_OVER: "1"})
        except OSError as error:
            why += f", and {python} does not start: {error.strerror}"
    script = os.path.basename(sys.argv[0])
    packages = " ".join(DEBIAN_PACKAGES.get(name, f"python3-{name}") for name in modules)
    sys.exit(f"{script}: {why}; on Debian: apt-get install {packages}; or let $PYTHON name an interpreter with them")
