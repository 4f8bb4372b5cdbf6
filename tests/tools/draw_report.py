#!/usr/bin/env python3
"""Draws tests/tools/report.png: the report of --html about images that scripts/make_figures.py draws.

  tests/tools/draw_report.py [PROGRAM [PICTURE]]     default: build/mnv2-classify tests/tools/report.png

Needs chromium (Debian's package of that name), Pillow and what make_figures.py needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from mnv2.interpreter import need  # noqa: E402

WIDTH, HEIGHT = 1200, 760
WAIT_MS = 4000  # of the page's own time, until its thumbnails are decoded


def take_picture(page: Path, picture: Path, folder: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("draw_report.py: no chromium; on Debian: apt-get install chromium")
    subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder / 'browser'}",
                    f"--window-size={width},{height}", f"--virtual-time-budget={WAIT_MS}", f"--screenshot={picture}",
                    page.as_uri()], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)


def main() -> int:
    need("PIL")
    from PIL import Image

    if len(sys.argv) > 3 or any(argument.startswith("-") for argument in sys.argv[1:]):
        print(__doc__.strip(), file=sys.stderr)
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 2
    program = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/mnv2-classify").resolve()
    picture = Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "tests/tools/report.png").resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([ROOT / "scripts/make_figures.py", "--train", "0", "--val", "0", "--test", "8", "--seed", "7",
                        folder / "drawn"], check=True)
        (folder / "drawn/test").rename(folder / "figures")
        subprocess.run([program, "-q", "-m", ROOT / "models/figure-kinds.safetensors", "--html", "report.html", "-o", os.devnull,
                        "figures"], cwd=folder, check=True)
        take_picture(folder / "report.html", folder / "report.png", folder)
        Image.open(folder / "report.png").convert("RGB").quantize(128).save(picture, optimize=True)
    print(f"draw_report.py: {picture}, {picture.stat().st_size // 1000} kB", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
