"""What the tests of scripts/convert.py share: running it, and comparing what it wrote with the source's own outputs."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from support.converter import RUN_NETWORK, TOLERANCE, EngineCase, forward, np, parse_model_file, torch

from mnv2.convert import command  # support.converter has made it importable


MOST_MEMORY = 1 << 30  # bytes, whatever a damaged file says of itself


class ConvertCase(EngineCase):
    """Converts a SOURCE in this process."""

    def run_convert(self, source: Any, *arguments: Any) -> tuple[int, str]:
        """(exit status, stderr); --output is `self.output`."""
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            try:
                status = command.main([str(source), *map(str, arguments), "--output", str(self.output)])
            except SystemExit as stop:
                status = int(stop.code or 0)
        return status, stderr.getvalue()

    def converted(self, source: Any, *arguments: Any) -> tuple[dict[str, Any], str]:
        """The metadata, with JSON parsed, and what was said of a conversion that must succeed."""
        status, said = self.run_convert(source, *arguments)
        self.assertEqual(status, 0, said)
        metadata, self.tensors = parse_model_file(self.output)
        self.raw = metadata
        parsed = {key: json.loads(metadata[key]) for key in ("architecture", "preprocessing", "labels") if key in metadata}
        return {**metadata, **parsed}, said

    def refused(self, source: Any, message: str, *arguments: Any) -> str:
        """The conversion fails with one line that holds `message`, and leaves no file behind."""
        self.output.unlink(missing_ok=True)
        before = sorted(self.folder.iterdir())
        status, said = self.run_convert(source, *arguments)
        self.assertEqual(status, 1, said)
        self.assertIn(message, said)
        self.assertEqual(said.count("\n"), 1, said)
        self.assertTrue(said.startswith("convert.py: "), said)
        self.assertEqual(sorted(self.folder.iterdir()), before)
        return said

    def compare_file(self, images: np.ndarray, expected: np.ndarray, what: str = "") -> None:
        """The written file's network, run by PyTorch, gives `expected` [N, outputs] for normalised `images`."""
        found = forward(self.raw, self.tensors, torch.from_numpy(images.astype(np.float32)))
        self.assertEqual(found.shape, expected.shape)
        self.assertGreater(np.abs(expected[0] - expected[1]).max(), 1e-3 * np.abs(expected).max(), what)
        self.assertLessEqual(np.abs(found - expected).max(), TOLERANCE * np.abs(expected).max(), what)
        if RUN_NETWORK:
            batch = torch.from_numpy(images.astype(np.float32)).contiguous()
            found = self.run_engine(batch, expected.shape[1], self.isas()[-1], (1,))
            self.assertLessEqual(np.abs(found - expected).max(), TOLERANCE * np.abs(expected).max(), f"engine, {what}")

    def fuzz(self, data: bytes, name: str, seeds: range, allowed: float = 1.0) -> None:
        """Truncated and with random bytes flipped, the file gives one line of error or a conversion: no traceback, no hang, no
        memory above MOST_MEMORY."""
        rng = np.random.default_rng(7)
        path = self.folder / name
        for seed in seeds:
            spoiled = bytearray(data)
            if seed % 3 == 0:
                del spoiled[int(rng.integers(0, len(data))):]
            else:
                limit = len(data) if seed % 3 == 1 else min(len(data), 4096)
                for place in rng.integers(0, limit, int(rng.integers(1, 8))):
                    spoiled[place if seed % 2 else len(data) - 1 - place] = int(rng.integers(0, 256))
            path.write_bytes(bytes(spoiled))
            before = start_of_peak()
            status, said = self.run_convert(path)
            self.assertLess(memory("VmHWM") - before, MOST_MEMORY, (seed, said))
            self.assertIn(status, (0, 1), (seed, said))
            self.assertTrue(said.startswith("convert.py: "), (seed, said))
            self.assertNotIn("Traceback", said)


def memory(what: str) -> int:
    """Bytes of this process, of /proc/self/status: VmRSS now, VmHWM the most since start_of_peak()."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{what}:"))
    return 1024 * int(line.split()[1])


def start_of_peak() -> int:
    """Forgets how much memory this process had; returns how much it has now, bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


ROOT = Path(__file__).resolve().parents[3]
PYTHON = sys.executable
