#!/usr/bin/env python3
"""clang-tidy over every source file of a build folder, several files at a time in one translation unit.

Most of clang-tidy's time goes into headers: those of the standard library, nlohmann/json and Catch2. Files of one folder
with the same flags are therefore included into one generated file and checked together. Where helpers of two files have
the same name, so that the generated file does not compile, the group is divided until it does. Prints each finding
once; the exit status is 1 when there are any.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GROUP_FILES = 16  # more save little, and one long group keeps the other cores waiting at the end
FINDING = re.compile(r"^(/\S+?):\d+:\d+: (?:warning|error): ")


@dataclass(frozen=True)
class Group:
    command: tuple[str, ...]  # the compiler and its flags, without input and output
    directory: str
    files: tuple[str, ...]


def read_groups(build: Path, pattern: str) -> list[Group]:
    """The files of the compilation database whose path matches, by folder and flags."""
    grouped: dict[tuple[tuple[str, ...], str, str], list[str]] = defaultdict(list)
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = entry["file"]
        if not re.search(pattern, os.path.relpath(source, ROOT)):
            continue
        command = shlex.split(entry["command"])
        if Path(command[0]).name == "ccache":
            command = command[1:]
        output = command.index("-o")
        del command[output:output + 2]
        command = [word for word in command if word not in ("-c", source)]
        files = grouped[tuple(command), entry["directory"], str(Path(source).parent)]
        if source not in files:
            files.append(source)
    return [Group(command, directory, tuple(files[i:i + GROUP_FILES]))
            for (command, directory, _), files in grouped.items() for i in range(0, len(files), GROUP_FILES)]


def write_source(group: Group, folder: Path) -> Path:
    """What to compile for the group: its only file, or a generated one in `folder`."""
    if len(group.files) == 1:
        return Path(group.files[0])
    name = re.sub(r"\W+", "_", os.path.relpath(group.files[0], ROOT)) + f"_and_{len(group.files) - 1}.cpp"
    path = folder / name
    path.write_text("".join(f'#include "{file}"\n' for file in group.files))
    return path


def check(group: Group, tidy: str, folder: Path) -> str:
    """clang-tidy's output for the group, divided as often as its files cannot be compiled together."""
    source = write_source(group, folder)
    if len(group.files) > 1:
        compiled = subprocess.run([*group.command, "-fsyntax-only", "-w", str(source)], cwd=group.directory,
                                  stdin=subprocess.DEVNULL, capture_output=True)
        if compiled.returncode != 0:
            middle = len(group.files) // 2
            halves = (Group(group.command, group.directory, files)
                      for files in (group.files[:middle], group.files[middle:]))
            return "".join(check(half, tidy, folder) for half in halves)
    done = subprocess.run([tidy, f"--config-file={ROOT / '.clang-tidy'}", "--quiet", str(source), "--",
                           *group.command[1:]],
                          cwd=group.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0 and not FINDING.search(done.stdout):
        return f"{source}: error: {tidy} failed\n{done.stdout}{done.stderr}"
    return done.stdout


def blocks(output: str) -> list[str]:
    """The findings in clang-tidy's output, each with its notes and excerpts."""
    found: list[str] = []
    for line in output.splitlines():
        if FINDING.match(line) or line.endswith(" failed") or not found:
            found.append(line)
        else:
            found[-1] += "\n" + line
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", type=Path, help="a folder that was configured with clang: its compile_commands.json")
    parser.add_argument("pattern", nargs="?", default="", help="a regular expression: only files whose path it matches")
    parser.add_argument("--clang-tidy", default="clang-tidy-16", metavar="PROGRAM", help="default: %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    arguments = parser.parse_intermixed_args()

    groups = read_groups(arguments.build, arguments.pattern)
    if not groups:
        parser.error(f"no source file in {arguments.build} matches {arguments.pattern!r}")
    folder = arguments.build.resolve() / "tidy-groups"
    folder.mkdir(exist_ok=True)
    groups.sort(key=lambda group: -len(group.files))
    found: dict[str, None] = {}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        checks = [pool.submit(check, group, arguments.clang_tidy, folder) for group in groups]
        for done in as_completed(checks):
            for block in blocks(done.result()):
                if block not in found:
                    found[block] = None
                    print(block, flush=True)
    count = sum(len(group.files) for group in groups)
    print(f"{count} files, {len(found)} findings", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
