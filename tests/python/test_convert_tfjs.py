"""Networks that TensorFlow.js itself made, saved and ran. It is got with npm into the cache; skipped where that cannot be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Optional

from support.convert import ConvertCase
from support.converter import forward, np, torch

VERSION = "4.22.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mnv2-classify" / f"tfjs-{VERSION}"
SCRIPT = Path(__file__).with_name("support") / "tfjs_networks.js"
COUNT = 20
SECONDS = 300


def find_tfjs() -> Optional[Path]:
    """A folder node_modules with @tensorflow/tfjs."""
    modules = CACHE / "node_modules"
    if not (modules / "@tensorflow" / "tfjs").is_dir():
        if shutil.which("npm") is None:
            return None
        CACHE.mkdir(parents=True, exist_ok=True)
        # Into a folder of its own first: what was stopped half way is not taken for the whole.
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, f"@tensorflow/tfjs@{VERSION}"]
            try:
                done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                return None
            if done.returncode != 0:
                return None
            os.replace(Path(folder) / "node_modules", modules)
    return modules


class OwnLibrary(ConvertCase):
    def test_networks_of_tensorflow_js(self) -> None:
        subprocess.run(["node", str(SCRIPT), str(self.folder), str(COUNT)], check=True, stdin=subprocess.DEVNULL, timeout=SECONDS,
                       stderr=subprocess.DEVNULL, env={**os.environ, "NODE_PATH": str(MODULES)})
        for number in range(COUNT):
            with self.subTest(number=number):
                folder = self.folder / str(number)
                metadata, _ = self.converted(folder)
                side = metadata["preprocessing"]["crop"]
                images = np.fromfile(folder / "images.f32", "<f4").reshape(2, side, side, 3).transpose(0, 3, 1, 2)
                expected = np.fromfile(folder / "outputs.f32", "<f4").reshape(2, -1)
                outputs = torch.from_numpy(forward(self.raw, self.tensors, torch.from_numpy(images.copy())))
                sigmoid = metadata["architecture"].get("output_activation") == "sigmoid"
                found = (outputs.sigmoid() if sigmoid else outputs.softmax(1)).numpy()
                self.assertLess(np.abs(found - expected).max(), 1e-4)


if __name__ == "__main__":
    found = find_tfjs() if shutil.which("node") else None
    if found is None:
        print("SKIPPED: no Node.js, or no @tensorflow/tfjs to be had from npm")
        sys.exit(77)
    MODULES = found
    unittest.main(verbosity=2)
