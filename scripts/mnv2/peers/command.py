"""Measures this engine and other engines that the machine has (ONNX Runtime, OpenCV DNN, PyTorch) on the same weights,
in turn in one run, after checking that all of them compute the same logits."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Optional, Sequence

from mnv2.peers.chart import ChartError, check_chart, draw_chart, write_chart
from mnv2.peers.cold import ColdResult, find_programs, find_whole_peers, measure_cold_start
from mnv2.peers.contestants import (PEERS, ROOT, SYSTEM_PYTHON, Missing, ModelFacts, PeersError, Tools, build_worker,
                                    export_onnx, find_ours, find_peers, install_commands, look_around,
                                    read_model_facts, run_loudly)
from mnv2.peers.inference import InferenceResult, OutputsDiffer, measure_inference, show_progress
from mnv2.peers.machine import describe_machine, load_average, look_before
from mnv2.peers.protocol import WorkerError
from mnv2.peers.report import Circumstances, chart_groups, cold_chart_group, json_report, text_report

DEFAULT_MODEL = ROOT / "models" / "mobilenet_v2.safetensors"
SHARED_CHECKPOINT = ROOT.parent / "shared" / "weights" / "mobilenet_v2.pth"
ROUNDS, QUICK_ROUNDS = 40, 5
RUNS, QUICK_RUNS = 10, 3
COLD_RUNS, QUICK_COLD_RUNS = 20, 5
SHARED_PHOTOS = ROOT.parent / "shared" / "images" / "dev"
MAX_THREADS = 1024
EPILOG = """\
The checkpoint is --checkpoint, $MNV2_CHECKPOINT, or ../shared/weights/mobilenet_v2.pth; the model file must come from
it.
$PYTHON chooses the interpreter for the peers (default: /usr/bin/python3, where Debian's packages are).
The table goes to stdout, everything else to stderr. Exit status: 0 done, 1 failed or outputs differ, 2 wrong usage."""


def positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of at least 1")
    return int(text)


def thread_list(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= MAX_THREADS for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}, expected thread counts of 1 to {MAX_THREADS}, e.g. 1,2")
    return sorted({int(part) for part in parts})


def name_list(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}, expected names separated by commas")
    return names


def peer_list(text: str) -> list[str]:
    names = [] if text == "none" else name_list(text)
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"{name!r}, expected some of {','.join(PEERS)}, or none")
    return names


def chart_path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".svg", ".png"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a name that ends in .svg or .png")
    return path


def parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mnv2-classify" / "peers"
    parser = argparse.ArgumentParser(prog="compare_peers.py", description=__doc__, epilog=EPILOG, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, metavar="FILE", default=DEFAULT_MODEL,
                        help="our model file (default: models/mobilenet_v2.safetensors)")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE",
                        help="the same weights for the peers, a state_dict of torchvision's mobilenet_v2")
    parser.add_argument("--peers", type=peer_list, metavar="LIST", default=list(PEERS),
                        help=f"which peers, or none (default: {','.join(PEERS)})")
    parser.add_argument("--isas", type=name_list, metavar="LIST",
                        help="our instruction sets, the first is what the others are compared with (default: the best "
                             "one and avx2)")
    parser.add_argument("--threads", type=thread_list, metavar="LIST", default=[1, 2], help="(default: 1,2)")
    parser.add_argument("--rounds", type=positive, metavar="N", help=f"turns of each contestant (default: {ROUNDS})")
    parser.add_argument("--runs-per-round", type=positive, metavar="N", help=f"runs in a turn (default: {RUNS})")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_ROUNDS} rounds of {QUICK_RUNS} runs: to see that it works")
    parser.add_argument("--cold-start", action="store_true",
                        help="also time whole processes for one photo, with the most of --threads")
    parser.add_argument("--program", type=Path, metavar="FILE", action="append",
                        help="a build of mnv2-classify for --cold-start, may be repeated; the first is what the others "
                             "are compared with (default: build/package/mnv2-classify, build/mnv2-classify)")
    parser.add_argument("--photo", type=Path, metavar="FILE",
                        help="for --cold-start (default: the first of ../shared/images/dev, or a drawn picture)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times and statistics")
    parser.add_argument("--chart", type=chart_path, metavar="FILE", help="write a bar chart, .svg or .png")
    parser.add_argument("--install", action="store_true",
                        help="first get what is missing: Debian packages with apt-get (sudo when not root), ONNX "
                             "Runtime with npm into the cache")
    parser.add_argument("--cache", type=Path, metavar="DIR", default=cache,
                        help=f"for npm's packages and the exported network (default: {cache})")
    parser.add_argument("--worker", type=Path, metavar="FILE",
                        help="a bench_worker that is built already (default: built in build/peers)")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    options.runs_per_round = options.runs_per_round or (QUICK_RUNS if options.quick else RUNS)
    return options


def find_checkpoint(given: Optional[Path]) -> Path:
    """As scripts/quickstart.sh looks for it."""
    path = given or Path(os.environ.get("MNV2_CHECKPOINT") or SHARED_CHECKPOINT)
    if not path.is_file():
        raise PeersError(f"{path}: no such checkpoint; the peers need one (--checkpoint FILE), or choose --peers none")
    return path


def default_python() -> str:
    return os.environ.get("PYTHON") or (SYSTEM_PYTHON if os.path.exists(SYSTEM_PYTHON) else sys.executable)


def compare(options: argparse.Namespace) -> None:
    """Does what the command line asks for; raises one of the modules' errors or OSError."""
    check_outputs(options)
    facts = read_model_facts(options.model)
    cache = options.cache.resolve()
    tools = look_around(default_python(), cache)
    if options.install:
        png = options.chart is not None and options.chart.suffix == ".png"
        for command in install_commands(tools, options.peers, png, options.worker is None, options.cold_start):
            run_loudly(command)
        tools = look_around(tools.python, cache)
    worker = options.worker or build_worker(ROOT / "build" / "peers")
    contestants = find_ours(worker.resolve(), options.model.resolve(), options.isas, options.threads)
    missing = []
    if options.peers:
        checkpoint = find_checkpoint(options.checkpoint).resolve()
        found, missing = find_peers(tools, options.peers, checkpoint, facts, options.threads)
        contestants += found
    contestants.sort(key=lambda contestant: contestant.threads)
    for one in missing:
        tell(one)

    cold = measure_cold(options, tools, facts, missing) if options.cold_start else None
    load, busy_before = load_average(), look_before()
    with tempfile.TemporaryDirectory(prefix="mnv2-peers-") as folder:
        result = measure_inference(contestants, facts, Path(folder), options.rounds, options.runs_per_round)
    circumstances = Circumstances(
        describe_machine(), datetime.datetime.now().astimezone().isoformat(timespec="seconds"), options.model.name,
        f"{facts.width}x{facts.height}", options.rounds, options.runs_per_round, load, busy_before, result.busy_share)
    write_reports(options, circumstances, result, missing, cold)


def tell(missing: Missing) -> None:
    print(f"compare_peers.py: {missing}", file=sys.stderr)


def measure_cold(options: argparse.Namespace, tools: Tools, facts: ModelFacts, missing: list[Missing]) -> ColdResult:
    """The cold start section; adds to `missing`."""
    threads = max(options.threads)
    with tempfile.TemporaryDirectory(prefix="mnv2-photo-") as folder:
        photo = find_photo(options.photo, Path(folder)).resolve()
        contestants = find_programs(options.program, options.model.resolve(), photo, threads)
        if options.peers:
            checkpoint = find_checkpoint(options.checkpoint).resolve()
            onnx = export_onnx(tools, checkpoint, facts) if {"onnxruntime", "opencv"} & set(options.peers) else None
            peers, lacking = find_whole_peers(tools, options.peers, checkpoint, onnx, facts, photo, threads)
            contestants += peers
            missing += lacking
            for one in lacking:
                tell(one)
        runs = QUICK_COLD_RUNS if options.quick else COLD_RUNS
        return measure_cold_start(contestants, photo, runs, show_progress(runs))


def find_photo(given: Optional[Path], folder: Path) -> Path:
    if given is not None:
        if not given.is_file():
            raise PeersError(f"{given}: no such photo")
        return given
    photos = sorted(path for path in SHARED_PHOTOS.glob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if photos:
        return photos[0]
    run_loudly([sys.executable, str(ROOT / "scripts" / "draw_sample.py"), str(folder / "sample.png")])
    return folder / "sample.png"


def check_outputs(options: argparse.Namespace) -> None:
    """Before minutes of measuring, not after."""
    for path in (options.json, options.chart):
        if path is not None and not path.parent.is_dir():
            raise PeersError(f"{path}: there is no folder {path.parent}")
    if options.chart is not None and not options.install:
        check_chart(options.chart)


def write_reports(options: argparse.Namespace, circumstances: Circumstances, result: InferenceResult,
                  missing: Sequence[Missing], cold: Optional[ColdResult]) -> None:
    print(text_report(circumstances, result, missing, cold), flush=True)
    if options.json is not None:
        content = json.dumps(json_report(circumstances, result, missing, cold), indent=1) + "\n"
        options.json.write_text(content, encoding="utf-8")
    if options.chart is not None:
        title = f"{options.model.stem} {circumstances.size}, float32, one image"
        footer = [circumstances.machine.cpu, f"{circumstances.rounds} rounds in turn, {circumstances.date[:10]}; "
                  "x: times our engine's, median over rounds"]
        groups = chart_groups(result.measured) + ([cold_chart_group(cold)] if cold else [])
        write_chart(options.chart, draw_chart(title, "Median milliseconds of inference, less is better",
                                              groups, footer))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
    try:
        compare(options)
        return 0
    except (ChartError, OutputsDiffer, PeersError, WorkerError) as error:
        print(f"compare_peers.py: {error}", file=sys.stderr)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        print(f"compare_peers.py: {message}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1
