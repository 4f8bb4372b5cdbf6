#!/usr/bin/env python3
"""How the engine shares a machine: beside busy processes, with more threads than CPUs, after pauses, and while it waits.

  tests/bench/bench_sharing.py [PROGRAM [MODEL]]     default: build/mnv2-classify models/mobilenet_v2.safetensors

Medians of one image's inference in ms; the numbers of threads take turns in one run. With one busy process beside it, two
threads should take no more than 1.5 times as long as one; more threads than CPUs should cost little; images that come
after a pause, in which all threads slept, should take hardly longer than in one long run (this part needs
tests/bench_worker beside PROGRAM); and a program that waits for the next line of a list should use no CPU.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

BUSY = "while True: pass"


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def medians(command: list[str], threads: list[int]) -> list[float]:
    """Milliseconds for each number of threads."""
    run = subprocess.run([*command, "--bench", "-f", "json", "-t", ",".join(map(str, threads))], stdout=subprocess.PIPE,
                         check=True)
    return [setting["inference"]["p50_ms"] for setting in json.loads(run.stdout)["sweep"]]


def after_pauses(worker: Path, model: Path, threads: int) -> tuple[float, float, float]:
    """The median of the first image after a pause of 0.15 s, median and 90th percentile of the eleven after it, in ms."""
    first, following = [], []
    # The last that is listed is the best.
    isa = subprocess.run([worker, "--list-isas"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]
    with subprocess.Popen([worker, model, isa, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          bufsize=1) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()

        def run(count: int) -> list[float]:
            process.stdin.write(f"run {count}\n")
            return [float(ms) for ms in process.stdout.readline().split()[1:]]

        run(30)
        for _ in range(80):
            time.sleep(0.15)
            ms = run(12)
            first.append(ms[0])
            following += ms[1:]
        process.stdin.close()
        process.wait()
    return statistics.median(first), statistics.median(following), statistics.quantiles(following, n=10)[-1]


def idle_cpu_ms(command: list[str], image: str, seconds: float) -> float:
    """CPU time that the program takes while it waits for `seconds` for the next line of its list, after one image."""
    with subprocess.Popen([*command, "-q", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(os.fsencode(image) + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(0.5)  # until the threads have ceased to spin

        def cpu_ms() -> float:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime: fields 14, 15

        before = cpu_ms()
        time.sleep(seconds)
        used = cpu_ms() - before
        process.stdin.close()
        process.wait()
    return used


def main() -> None:
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__, end="")
        return
    if len(sys.argv) > 3 or any(argument.startswith("-") for argument in sys.argv[1:]):
        print(__doc__, end="", file=sys.stderr)
        sys.exit(2)
    root = Path(__file__).resolve().parents[2]
    program = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "build" / "mnv2-classify"
    model = Path(sys.argv[2]) if len(sys.argv) > 2 else root / "models" / "mobilenet_v2.safetensors"
    command = [str(program), "--model", str(model)]
    cpus = len(os.sched_getaffinity(0))
    threads = sorted({1, cpus, 2 * cpus, 8 * cpus})
    print("| busy processes | " + " | ".join(f"{n} thread{'s' if n > 1 else ''}, ms" for n in threads) + " |")
    print("| ---: |" + " ---: |" * len(threads))
    for busy in (0, 1, cpus):
        with busy_processes(busy):
            print(f"| {busy} | " + " | ".join(f"{ms:.2f}" for ms in medians(command, threads)) + " |", flush=True)
    worker = program.parent / "tests" / "bench_worker"
    if worker.exists():
        print("\n| threads | first after a pause, ms | after it, median | 90th percentile |\n| ---: | ---: | ---: | ---: |")
        for n in (1, cpus):
            print(f"| {n} | " + " | ".join(f"{ms:.2f}" for ms in after_pauses(worker, model, n)) + " |", flush=True)
    sample = root / "models" / "samples" / "bar_chart.png"
    print(f"\nCPU time in 5 s of waiting for the next line of a list: {idle_cpu_ms(command, str(sample), 5):.0f} ms")


if __name__ == "__main__":
    main()
