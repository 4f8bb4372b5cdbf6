"""The inference section of compare_peers.py: the same images through every contestant, in turn in one run."""

from __future__ import annotations

import array
import contextlib
import itertools
import math
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Sequence

from mnv2.peers.contestants import Contestant, ModelFacts
from mnv2.peers.machine import others_share, read_cpu_times
from mnv2.peers.protocol import Worker, cpu_seconds
from mnv2.peers.statistics import Measured, largest_difference

TOLERANCE = 1e-4  # of the largest |logit|, as everywhere in this project
WARM_UP_RUNS = 10  # at the start: PyTorch compiles during the first runs
WARM_UP_RUNS_A_TURN = 2  # at least: the turns of the others have emptied the caches
# At least: a core that had nothing to do in the turns of single threads takes some 10 ms to reach its clock.
WARM_UP_MS_A_TURN = 30.0


class OutputsDiffer(Exception):
    """Two contestants disagree about an image."""


@dataclass(frozen=True)
class Agreement:
    """The pair of contestants whose logits differ most on an image."""

    image: str
    difference: float  # max |difference| / max |logit|
    pair: tuple[str, str]


@dataclass
class InferenceResult:
    measured: list[Measured]
    agreements: list[Agreement]
    restless: list[str]  # contestants that still used CPU time long after their turns
    busy_share: Optional[float]  # of all CPUs, used by other processes meanwhile


def noise_image(facts: ModelFacts) -> array.array[float]:
    """Normally distributed values, the same in every run: [3, H, W]."""
    numbers = random.Random(20180113)
    return array.array("f", (numbers.gauss(0, 1) for _ in range(3 * facts.height * facts.width)))


def scene_image(facts: ModelFacts) -> array.array[float]:
    """A sky over a striped ground with a lit ball, grainy as a photo, normalised as the model asks: [3, H, W]."""
    numbers = random.Random(1801_04381)
    image = array.array("f")
    for channel, (mean, std) in enumerate(zip(facts.mean, facts.std)):
        for y in range(facts.height):
            v = y / facts.height
            for x in range(facts.width):
                u = x / facts.width
                if math.hypot(u - 0.55, v - 0.55) < 0.25:
                    value = (0.9, 0.5, 0.15)[channel] * (1 - 2.2 * math.hypot(u - 0.45, v - 0.42))
                elif v < 0.6:
                    value = (0.45, 0.65, 0.95)[channel] + (0.5 - 0.3 * channel) * v
                else:
                    value = (0.35, 0.5, 0.2)[channel] * (1 + 0.5 * math.sin(60 * u / v))
                value = min(max(value + numbers.gauss(0, 0.02), 0.0), 1.0)
                image.append((round(value * 255) / 255 - mean) / std)
    return image


def write_images(facts: ModelFacts, folder: Path) -> dict[str, Path]:
    """Name -> file of raw float32 [3, H, W]. The last one is the image that is timed."""
    paths = {}
    for name, image in (("noise", noise_image(facts)), ("scene", scene_image(facts))):
        paths[name] = folder / f"{name}.f32"
        paths[name].write_bytes(image.tobytes())
    return paths


def compare_outputs(image: str, logits: dict[str, Sequence[float]]) -> Agreement:
    """Every pair of contestants; raises OutputsDiffer."""
    names = list(logits)
    worst = Agreement(image, 0.0, (names[0], names[0]))
    for a, b in itertools.combinations(names, 2):
        difference = largest_difference(logits[a], logits[b])
        if difference > TOLERANCE:
            raise OutputsDiffer(f"{image} image: the logits of {a} and {b} differ by {difference:.3g} of the largest, "
                                f"expected at most {TOLERANCE:g}: not the same network, or one computes wrongly")
        if difference >= worst.difference:
            worst = Agreement(image, difference, (a, b))
    return worst


def warm_up(worker: Worker) -> None:
    """What comes before the timed runs of a turn."""
    spent_ms = 0.0
    while spent_ms < WARM_UP_MS_A_TURN:
        spent_ms += max(sum(worker.run(WARM_UP_RUNS_A_TURN)), 0.1)  # whatever the worker says, there is an end


def take_turns(workers: Sequence[Worker], measured: Sequence[Measured], rounds: int, runs: int,
               progress: Callable[[int], None]) -> set[str]:
    """A B C A B C ...: `rounds` rounds of `runs` timed runs each. Returns who did not come to rest after a turn."""
    restless = set()
    for number in range(rounds):
        progress(number)
        for worker, times in zip(workers, measured):
            warm_up(worker)
            times.rounds_ms.append(worker.run(runs))
            if not worker.settle():
                restless.add(worker.name)
    progress(rounds)
    return restless


def used_seconds(workers: Sequence[Worker]) -> float:
    """The CPU time of all contestants so far."""
    return sum(cpu_seconds(worker.process.pid) or 0.0 for worker in workers)


def label(contestant: Contestant) -> str:
    return f"{contestant.name}, {contestant.threads} thread{'s' * (contestant.threads > 1)}"


def show_progress(rounds: int) -> Callable[[int], None]:
    def progress(number: int) -> None:
        if sys.stderr.isatty():
            print(f"\rround {number}/{rounds}", end="\n" if number == rounds else "", file=sys.stderr, flush=True)

    return progress


def measure_inference(contestants: Sequence[Contestant], facts: ModelFacts, folder: Path, rounds: int,
                      runs: int) -> InferenceResult:
    """Starts all contestants, compares their outputs, and times them in turn.

    Raises WorkerError and OutputsDiffer. `folder` holds the images meanwhile."""
    images = write_images(facts, folder)
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(label(contestant), contestant.command, contestant.environment))
                   for contestant in contestants]
        agreements = []
        for name, path in images.items():
            logits = {}
            for worker in workers:
                worker.set_input(path)
                logits[worker.name] = worker.logits()
            agreements.append(compare_outputs(name, logits))
        for worker in workers:
            worker.run(WARM_UP_RUNS)
            worker.settle()
        measured = [Measured(contestant.name, contestant.threads, contestant.ours, worker.facts["version"],
                             worker.facts["detail"]) for contestant, worker in zip(contestants, workers)]
        start, before = read_cpu_times(), used_seconds(workers)
        restless = take_turns(workers, measured, rounds, runs, show_progress(rounds))
        own = used_seconds(workers) - before
        busy_share = others_share(start, read_cpu_times(), own)
    return InferenceResult(measured, agreements, sorted(restless), busy_share)
