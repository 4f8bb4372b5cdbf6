"""The cold start section of compare_peers.py: whole processes for one photo, from nothing to the answer, in turn."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Sequence

from mnv2.peers.contestants import (ROOT, WORKERS, Contestant, Missing, ModelFacts, PeersError, Tools, npm_command,
                                    python_remedy)
from mnv2.peers.inference import OutputsDiffer
from mnv2.peers.statistics import Measured

LAUNCHER = WORKERS / "launcher.py"
PYTHON_WHOLE = WORKERS / "whole.py"
NODE_WHOLE = WORKERS / "whole.js"
BUILDS = (ROOT / "build" / "package" / "mnv2-classify", ROOT / "build" / "mnv2-classify")
PYTHON_NEEDS = {"onnxruntime": ("numpy", "cv2", "onnxruntime"), "opencv": ("numpy", "cv2"),
                "pytorch": ("numpy", "torch", "torchvision", "PIL")}
PYTHON_NAMES = {"onnxruntime": "ONNX Runtime + OpenCV (Python)", "opencv": "OpenCV DNN (Python)",
                "pytorch": "PyTorch + Pillow (Python)"}
WARM_UP_RUNS = 2  # programs, libraries and model into the page cache
RUN_SECONDS = 300.0


@dataclass(frozen=True)
class WholeRun:
    ms: float
    peak_mb: float
    index: int  # of the best class


@dataclass(frozen=True)
class ColdResult:
    photo: str
    index: int
    measured: list[Measured]  # one run a round
    peak_mb: list[float]  # of each of `measured`, the median


def find_programs(programs: Optional[Sequence[Path]], model: Path, photo: Path, threads: int) -> list[Contestant]:
    """Our program, one for each build: those named, or those that scripts/ make; the lean one first."""
    paths = [path.resolve() for path in programs or BUILDS if programs or path.exists()]
    if not paths:
        raise PeersError(f"no program for --cold-start in {' or '.join(map(str, BUILDS))}: scripts/quickstart.sh or "
                         "scripts/package.sh makes one, --program names one")
    found: list[Contestant] = []
    for path in paths:
        try:
            answer = subprocess.run([str(path), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        except OSError as error:
            raise PeersError(f"{path}: {error.strerror}") from None
        decoder = re.search(r"OpenCV \S+ \((static|shared)", answer.stdout)
        if answer.returncode != 0 or decoder is None:
            raise PeersError(f"{path}: --version names no OpenCV; is it mnv2-classify?")
        name = f"mnv2-classify, {decoder[1]} OpenCV"
        if any(one.name == name for one in found):
            name += f" ({path})"
        found.append(Contestant(name, threads, True, [str(path), "-m", str(model), "-t", str(threads), "-f", "jsonl",
                                                      "-k", "1", str(photo)]))
    return found


def find_whole_peers(tools: Tools, peers: Sequence[str], checkpoint: Path, onnx: Optional[Path], facts: ModelFacts,
                     photo: Path, threads: int) -> tuple[list[Contestant], list[Missing]]:
    """The peers of `peers` that can classify a photo by themselves, and the others."""
    found: list[Contestant] = []
    missing: list[Missing] = []
    numbers = [str(facts.resize), str(facts.height), ",".join(map(str, facts.mean)), ",".join(map(str, facts.std)),
               str(threads)]
    for peer in peers:
        network = checkpoint if peer == "pytorch" else onnx
        if network is None:
            continue  # the inference section has said why
        lacking = [module for module in PYTHON_NEEDS[peer] if module not in tools.modules]
        if peer == "onnxruntime" and tools.onnxruntime_node and tools.sharp:
            found.append(Contestant("ONNX Runtime + sharp (Node.js)", threads, False,
                                    ["node", str(NODE_WHOLE), str(network), str(photo), *numbers],
                                    tools.node_environment()))
        elif peer == "onnxruntime" and lacking:
            missing.append(Missing("ONNX Runtime's cold start", "node lacks onnxruntime-node or sharp, and "
                                   f"{tools.python} {', '.join(lacking)}", "--install, or " +
                                   " ".join(npm_command(tools.cache, cold=True))))
        if not lacking:
            found.append(Contestant(PYTHON_NAMES[peer], threads, False,
                                    [tools.python, str(PYTHON_WHOLE), peer, str(network), str(photo), *numbers]))
        elif peer != "onnxruntime":
            missing.append(Missing(f"{PYTHON_NAMES[peer]}'s cold start", f"{tools.python} has no {', '.join(lacking)}",
                                   python_remedy(tools, lacking)))
    return found, missing


def run_whole(contestant: Contestant, python: str, folder: Path) -> WholeRun:
    """Once from nothing to the answer."""
    out, err = folder / "stdout", folder / "stderr"
    command = [python, "-I", "-S", str(LAUNCHER), str(out), str(err), *contestant.command]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_SECONDS,
                              env=contestant.environment)
    except subprocess.TimeoutExpired:
        raise PeersError(f"{contestant.name}: no answer for {RUN_SECONDS:g} seconds") from None
    numbers = done.stdout.split()
    if done.returncode != 0 or numbers[2:] != ["0"]:
        said = done.stderr if done.returncode != 0 else err.read_text(errors="replace")
        raise PeersError(f"{contestant.name}: failed\n    " + "\n    ".join(said.strip().splitlines()[-5:]))
    try:
        index = int(json.loads(out.read_text())["top"][0]["index"])
    except (ValueError, KeyError, IndexError, TypeError):
        raise PeersError(f"{contestant.name}: answered {out.read_text(errors='replace')[:80]!r}, expected a record") from None
    return WholeRun(float(numbers[0]), float(numbers[1]) * 1024 / 1e6, index)


def measure_cold_start(contestants: Sequence[Contestant], photo: Path, runs: int,
                       progress: Callable[[int], None]) -> ColdResult:
    """A B C A B C ..., `runs` times each, after checking that all of them see the same in the photo.

    Raises PeersError and OutputsDiffer."""
    results: list[list[WholeRun]] = [[] for _ in contestants]
    with tempfile.TemporaryDirectory(prefix="mnv2-cold-") as folder:
        def run(contestant: Contestant) -> WholeRun:
            return run_whole(contestant, sys.executable, Path(folder))

        first = [[run(contestant) for contestant in contestants] for _ in range(WARM_UP_RUNS)][-1]
        for contestant, answer in zip(contestants, first):
            if answer.index != first[0].index:
                raise OutputsDiffer(f"{photo}: the best class is {answer.index} to {contestant.name} and {first[0].index} "
                                    f"to {contestants[0].name}; choose a clearer photo, if both compute rightly")
        for number in range(runs):
            progress(number)
            for contestant, its_results in zip(contestants, results):
                its_results.append(run(contestant))
        progress(runs)
    measured = [Measured(contestant.name, contestant.threads, contestant.ours, rounds_ms=[[run.ms] for run in its_results])
                for contestant, its_results in zip(contestants, results)]
    return ColdResult(photo.name, first[0].index, measured,
                      [statistics.median([run.peak_mb for run in its_results]) for its_results in results])
