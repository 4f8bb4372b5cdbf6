"""Runs one program to its end and prints its wall time in ms, its peak memory in KiB and its exit status.

  python -I -S launcher.py STDOUT_FILE STDERR_FILE COMMAND [ARGUMENT...]

A process of its own because the kernel counts the memory of who starts a program as the program's peak: this one is
smaller than all that it measures.
"""

import os
import sys
import time


def main() -> None:
    out, err, *command = sys.argv[1:]
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, out, write, 0o600),
               (os.POSIX_SPAWN_OPEN, 2, err, write, 0o600)]
    start = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    print((time.perf_counter() - start) * 1e3, usage.ru_maxrss, os.waitstatus_to_exitcode(status))


main()
