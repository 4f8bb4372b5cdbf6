"""The contestants of compare_peers.py: our engine on each instruction set, and the other engines of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Sequence

ROOT = Path(__file__).resolve().parents[3]
# A folder of their own, which is the first that their Python looks into for modules.
WORKERS = Path(__file__).resolve().parent / "workers"
PYTHON_WORKER = WORKERS / "worker.py"
NODE_WORKER = WORKERS / "worker.js"
SYSTEM_PYTHON = "/usr/bin/python3"  # whose modules apt-get installs
MAX_HEADER_BYTES = 16 << 20  # models/README.md

PEERS = ("onnxruntime", "opencv", "pytorch")
PYTHON_PACKAGES = {"numpy": "python3-numpy", "torch": "python3-torch", "torchvision": "python3-torchvision",
                   "cv2": "python3-opencv"}
PYTHON_MODULES = (*PYTHON_PACKAGES, "onnxruntime", "PIL")  # torchvision brings Pillow
BUILD_PACKAGES = ("g++", "cmake", "ninja-build", "nlohmann-json3-dev", "catch2")


class PeersError(Exception):
    """Anything that keeps the comparison from being made."""


@dataclass(frozen=True)
class ModelFacts:
    """What the contestants need to know of the model file."""

    height: int
    width: int
    mean: Sequence[float]
    std: Sequence[float]
    resize: int = 256  # the short side of a photo before the crop


@dataclass(frozen=True)
class Contestant:
    """A process that speaks the protocol of protocol.py."""

    name: str
    threads: int
    ours: bool
    command: Sequence[str]
    environment: Optional[dict[str, str]] = None


@dataclass(frozen=True)
class Missing:
    """An engine that this machine lacks, and how to get it."""

    name: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name} is not measured: {self.reason}; to get it: {self.remedy}"


@dataclass(frozen=True)
class Tools:
    """What the machine has."""

    python: str
    cache: Path  # for what npm installs and for the exported network
    modules: frozenset[str] = field(default_factory=frozenset)  # of PYTHON_MODULES, those that `python` finds
    node: bool = False
    npm: bool = False
    onnxruntime_node: bool = False
    sharp: bool = False  # npm's decoder of photos

    def node_environment(self) -> dict[str, str]:
        paths = [str(self.cache / "node_modules"), os.environ.get("NODE_PATH", "")]
        return {**os.environ, "NODE_PATH": os.pathsep.join(path for path in paths if path)}


def read_model_facts(path: Path) -> ModelFacts:
    """The preprocessing that the header of a model file holds (models/README.md)."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= MAX_HEADER_BYTES:
                raise PeersError(f"{path}: a header of {size} bytes: not a model file")
            preprocessing = json.loads(json.loads(file.read(size))["__metadata__"]["preprocessing"])
        crop = int(preprocessing["crop"])
        return ModelFacts(crop, crop, preprocessing["mean"], preprocessing["std"],
                          int(preprocessing["resize"]))
    except OSError as error:
        remedy = "scripts/quickstart.sh makes models/mobilenet_v2.safetensors"
        raise PeersError(f"{path}: {error.strerror}; {remedy}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise PeersError(f"{path}: not a model file: {type(error).__name__}: {error}") from None


def look_around(python: str, cache: Path) -> Tools:
    """Looks for what the peers need, without importing any of it."""
    code = ("import importlib.util, sys; "
            "print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is not None))")
    try:
        answer = subprocess.run([python, "-c", code, *PYTHON_MODULES], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PeersError(f"{python}: cannot be run: {error}") from None
    node, npm = shutil.which("node") is not None, shutil.which("npm") is not None
    tools = Tools(python, cache, frozenset(answer.stdout.split()), node, npm)

    def node_finds(package: str) -> bool:
        return node and subprocess.run(["node", "-e", f"require.resolve('{package}')"], env=tools.node_environment(),
                                       stdin=subprocess.DEVNULL, capture_output=True).returncode == 0

    return Tools(python, cache, tools.modules, node, npm, node_finds("onnxruntime-node"), node_finds("sharp"))


def npm_command(cache: Path, cold: bool = False) -> list[str]:
    # Its install script would only fetch the GPU libraries.
    return ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(cache), "onnxruntime-node",
            *(["sharp"] if cold else [])]


def python_remedy(tools: Tools, modules: Sequence[str]) -> str:
    """How to get Python modules that are missing."""
    here = tools.python == SYSTEM_PYTHON
    return (("--install, or apt-get install " if here else "unset $PYTHON, or install there what is in Debian's ") +
            " ".join(PYTHON_PACKAGES.get(module, module) for module in modules))


def run_loudly(command: Sequence[str]) -> None:
    """Runs a command with its output on stderr: stdout is for the table."""
    print(f"compare_peers.py: {shlex.join(command)}", file=sys.stderr, flush=True)
    try:
        status = subprocess.run(list(command), stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode
    except OSError as error:
        raise PeersError(f"{command[0]}: {error.strerror}") from None
    if status != 0:
        raise PeersError(f"failed with status {status}: {shlex.join(command)}")


def install_commands(tools: Tools, peers: Sequence[str], png: bool, build: bool, cold: bool = False) -> list[list[str]]:
    """The commands that get what is missing: Debian packages through apt-get, ONNX Runtime through npm."""
    packages = [package for module, package in PYTHON_PACKAGES.items() if tools.python == SYSTEM_PYTHON
                and peers and module not in tools.modules and (module != "cv2" or "opencv" in peers)]
    npm_needed = ("onnxruntime" in peers and "onnxruntime" not in tools.modules
                  and not (tools.onnxruntime_node and (tools.sharp or not cold)))
    if npm_needed:
        packages += [name for name, there in (("nodejs", tools.node), ("npm", tools.npm)) if not there]
    if png and shutil.which("rsvg-convert") is None:
        packages.append("librsvg2-bin")
    if build:
        packages += BUILD_PACKAGES
    commands = []
    if packages and shutil.which("apt-get") is not None:
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        commands.append([*as_root, "apt-get", "update"])
        commands.append([*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y",
                         "--no-install-recommends", *packages])
    if npm_needed:
        commands.append(npm_command(tools.cache, cold))
    return commands


def build_worker(build_dir: Path) -> Path:
    """Builds tests/bench/bench_worker.cpp and the engine, or brings them up to date."""
    if not (build_dir / "CMakeCache.txt").exists():
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        run_loudly(["cmake", "-S", str(ROOT), "-B", str(build_dir), *generator, "-DCMAKE_BUILD_TYPE=Release",
                    "-DMNV2_BUILD_APP=OFF", "-DMNV2_BUILD_TESTS=ON"])
    run_loudly(["cmake", "--build", str(build_dir), "--parallel", str(os.cpu_count() or 1), "--target", "bench_worker"])
    return build_dir / "tests" / "bench_worker"


def find_ours(worker: Path, model: Path, isas: Optional[Sequence[str]], threads: Sequence[int]) -> list[Contestant]:
    """Our engine, the most capable instruction set first; by default that one and AVX2, where most machines end."""
    try:
        answer = subprocess.run([str(worker), "--list-isas"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        raise PeersError(f"{worker}: {error.strerror}") from None
    supported = answer.stdout.split()
    if answer.returncode != 0 or not supported:
        raise PeersError(f"{worker}: --list-isas failed with status {answer.returncode}; is it bench_worker?")
    if isas is None:
        isas = [supported[-1], *(name for name in ("avx2",) if name in supported[:-1])]
    for isa in isas:
        if isa not in supported:
            raise PeersError(f"--isas {isa}: this machine and build have {', '.join(supported)}")
    return [Contestant(f"mnv2-classify {isa}", count, True, [str(worker), str(model), isa, str(count)])
            for isa in isas for count in threads]


def export_onnx(tools: Tools, checkpoint: Path, facts: ModelFacts) -> Optional[Path]:
    """The network as ONNX, in the cache; None when it is not there and PyTorch is missing."""
    digest = hashlib.sha256(checkpoint.read_bytes() + PYTHON_WORKER.read_bytes()).hexdigest()[:16]
    path = tools.cache / f"{digest}-{facts.height}x{facts.width}.onnx"
    if path.exists():
        return path
    if not {"torch", "torchvision", "numpy"} <= tools.modules:
        return None
    tools.cache.mkdir(parents=True, exist_ok=True)
    run_loudly([tools.python, str(PYTHON_WORKER), "export", str(checkpoint), str(facts.height), str(facts.width),
                str(path)])
    return path


def find_peers(tools: Tools, peers: Sequence[str], checkpoint: Path, facts: ModelFacts,
               threads: Sequence[int]) -> tuple[list[Contestant], list[Missing]]:
    """The engines of `peers` that the machine has, and the others."""
    needs_torch = [module for module in ("numpy", "torch", "torchvision") if module not in tools.modules]
    torch_remedy = python_remedy(tools, needs_torch)
    torch_reason = f"{tools.python} has no {', '.join(needs_torch)}"
    export_reason = f"exporting the network needs PyTorch; {torch_reason}"
    onnx = export_onnx(tools, checkpoint, facts) if {"onnxruntime", "opencv"} & set(peers) else None
    found: list[Contestant] = []
    missing: list[Missing] = []
    size = [str(facts.height), str(facts.width)]

    def add(name: str, command: Sequence[str], environment: Optional[dict[str, str]] = None) -> None:
        found.extend(Contestant(name, count, False, [*command, *size, str(count)], environment) for count in threads)

    def add_python(name: str, engine: str, network: Path) -> None:
        add(name, [tools.python, str(PYTHON_WORKER), engine, str(network)])

    if "onnxruntime" in peers:
        in_python = {"onnxruntime", "numpy"} <= tools.modules
        if onnx is None:
            missing.append(Missing("ONNX Runtime", export_reason, torch_remedy))
        elif not tools.onnxruntime_node and not in_python:
            missing.append(Missing("ONNX Runtime", f"neither node nor {tools.python} has it",
                                   "--install, or " + shlex.join(npm_command(tools.cache))))
        else:
            if tools.onnxruntime_node:
                add("ONNX Runtime (Node.js)", ["node", str(NODE_WORKER), str(onnx)], tools.node_environment())
            if in_python:
                add_python("ONNX Runtime (Python)", "onnxruntime", onnx)
    if "opencv" in peers:
        if onnx is None:
            missing.append(Missing("OpenCV DNN", export_reason, torch_remedy))
        elif not {"cv2", "numpy"} <= tools.modules:
            missing.append(Missing("OpenCV DNN", f"{tools.python} has no cv2", python_remedy(tools, ["cv2"])))
        else:
            add_python("OpenCV DNN", "opencv", onnx)
    if "pytorch" in peers:
        if needs_torch:
            missing.append(Missing("PyTorch", torch_reason, torch_remedy))
        else:
            add_python("PyTorch", "torch", checkpoint)
    return found, missing
