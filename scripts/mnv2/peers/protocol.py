"""Contestants as processes: each answers one line on stdin with one line on stdout, and sleeps in between.

    (at the start)   ready {"version": ..., "detail": ...}
    input PATH       ok                    PATH holds one image, [3, H, W] raw float32, used from now on
    run N            ms T1 T2 ... TN       the milliseconds of each of N runs on that image
    logits           logits V1 V2 ...      one run's logits
    anything else    error MESSAGE

A contestant ends when its stdin does.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Optional, Sequence

START_SECONDS = 300.0  # importing PyTorch on a busy machine takes its time
REPLY_SECONDS = 300.0
END_SECONDS = 5.0
SETTLE_WINDOW_SECONDS = 0.01
SETTLE_SECONDS = 0.3
SETTLED_SHARE = 0.1  # of one CPU


class WorkerError(Exception):
    """A contestant that did not start, answered with an error, or answered something else."""


def cpu_seconds(pid: int) -> Optional[float]:
    """The CPU time that all threads of a process have used; None where the system does not say."""
    total_ns = 0
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return None
    for task in tasks:
        try:
            total_ns += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            pass  # the thread ended meanwhile, or the kernel keeps no such statistics
    return total_ns / 1e9


class Worker:
    """A running contestant. Use it in a `with` statement."""

    def __init__(self, name: str, command: Sequence[str], environment: Optional[dict[str, str]] = None) -> None:
        self.name = name
        self.diagnostics = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.diagnostics, env=environment)
        except OSError as error:
            self.diagnostics.close()
            raise WorkerError(f"{name}: {command[0]}: {error.strerror}") from None
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout, self.pending = self.process.stdin, self.process.stdout, b""
        try:
            self.facts: dict[str, str] = json.loads(self.receive("ready", START_SECONDS))
        except ValueError as error:
            self.close()
            raise WorkerError(f"{name}: its first line holds damaged JSON: {error}") from None
        except WorkerError:
            self.close()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process, by force when it does not end by itself."""
        try:
            self.stdin.close()
        except OSError:
            pass  # it has ended already
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.stdout.close()
        self.diagnostics.close()

    def request(self, line: str, word: str) -> str:
        """Sends `line`; returns what follows `word` in the reply."""
        try:
            self.stdin.write(line.encode() + b"\n")
            self.stdin.flush()
        except OSError:
            pass  # it has ended: reading says so, with what it printed
        return self.receive(word, REPLY_SECONDS)

    def receive(self, word: str, seconds: float) -> str:
        line = self.read_line(seconds)
        first, _, rest = line.partition(" ")
        if first == "error":
            raise WorkerError(f"{self.name}: {rest}")
        if first != word:
            raise WorkerError(f"{self.name}: replied {line[:80]!r}, expected {word!r}")
        return rest

    def read_line(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.stdout, selectors.EVENT_READ)
            while b"\n" not in self.pending:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise WorkerError(f"{self.name}: no reply for {seconds:g} seconds")
                data = os.read(self.stdout.fileno(), 1 << 16)
                if not data:
                    raise WorkerError(f"{self.name}: ended without a reply{self.last_words()}")
                self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode(errors="replace")

    def last_words(self) -> str:
        """The end of what the process wrote to stderr."""
        self.diagnostics.seek(0)
        lines = self.diagnostics.read().decode(errors="replace").strip().splitlines()
        return "".join(f"\n    {line}" for line in lines[-5:])

    def numbers(self, line: str, word: str) -> list[float]:
        reply = self.request(line, word)
        try:
            return [float(number) for number in reply.split()]
        except ValueError:
            raise WorkerError(f"{self.name}: replied {reply[:80]!r} to {line!r}, expected numbers") from None

    def set_input(self, path: Path) -> None:
        self.request(f"input {path}", "ok")

    def logits(self) -> list[float]:
        return self.numbers("logits", "logits")

    def run(self, count: int) -> list[float]:
        """The milliseconds of each of `count` runs."""
        times_ms = self.numbers(f"run {count}", "ms")
        if len(times_ms) != count:
            raise WorkerError(f"{self.name}: {len(times_ms)} times, expected {count}")
        return times_ms

    def settle(self) -> bool:
        """Waits until the process is idle: thread pools spin for a while after their work, which would slow down the
        next contestant. False when it still used CPU time after SETTLE_SECONDS."""
        deadline = time.monotonic() + SETTLE_SECONDS
        before = cpu_seconds(self.process.pid)
        while before is not None:
            time.sleep(SETTLE_WINDOW_SECONDS)
            after = cpu_seconds(self.process.pid)
            if after is None or after - before < SETTLED_SHARE * SETTLE_WINDOW_SECONDS:
                return True
            if time.monotonic() > deadline:
                return False
            before = after
        return True
