"""The machine that compare_peers.py runs on, and how busy it is with other things."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

BUSY_SHARE = 0.05  # of all CPUs: beyond it the times say little
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Machine:
    cpu: str
    cpus: int  # that this process may use
    system: str


@dataclass(frozen=True)
class CpuTimes:
    """Of the whole machine since it started, in seconds."""

    busy: float
    total: float


def describe_machine() -> Machine:
    try:
        names = re.findall(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        names = []
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(names[0] if names else platform.processor() or platform.machine(), cpus,
                   f"{platform.system()} {platform.release()}")


def parse_cpu_times(stat: str, ticks_a_second: float) -> Optional[CpuTimes]:
    """From the first line of /proc/stat. Time that a hypervisor gave to others counts as busy."""
    fields = stat.split("\n", 1)[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = (int(field) / ticks_a_second for field in fields[1:9])
    busy = user + nice + system + irq + softirq + steal
    return CpuTimes(busy, busy + idle + iowait)


def read_cpu_times() -> Optional[CpuTimes]:
    try:
        return parse_cpu_times(Path("/proc/stat").read_text(), os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError):
        return None


def others_share(before: Optional[CpuTimes], after: Optional[CpuTimes], own_seconds: float) -> Optional[float]:
    """The share of all CPU time that went to anything but `own_seconds`; None when the system does not say."""
    if before is None or after is None or after.total <= before.total:
        return None
    return max(0.0, (after.busy - before.busy - own_seconds) / (after.total - before.total))


def look_before() -> Optional[float]:
    """How busy the machine is with other things now, before the contestants start."""
    before = read_cpu_times()
    time.sleep(LOOK_SECONDS)
    return others_share(before, read_cpu_times(), 0.0)


def load_average() -> Optional[tuple[float, float, float]]:
    try:
        return os.getloadavg()
    except OSError:
        return None
