#!/usr/bin/env python3
"""Plants small faults, one at a time, and sees whether a test fails.

    tests/tools/mutate.py [OPTIONS] FILE_OR_FOLDER...

Works in a worktree of its own below --work, made from HEAD: the checkout that it is called in is not touched. Each
mutant is built, then tested by the tests that cover its file (COVERAGE below), in their order; the first that fails
kills it. Results go to RESULTS.jsonl below --work, a line each; a run that is stopped goes on where it was. Mutants that
change nothing that can be seen stand in tests/tools/equivalent_mutants.txt, each with its reason, and are left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EQUIVALENT = ROOT / "tests/tools/equivalent_mutants.txt"

# Which tests cover a file: the first prefix that fits. ctest's -R, in the order in which they are tried.
COVERAGE = (
    ("src/core/thread_pool", "^(test_core|test_pool_schedules|test_network)$"),
    ("src/core", "^(test_core|test_model|test_network|test_kernels)$"),
    ("src/kernels/pixels", "^(test_preprocess|test_preprocessing)$"),
    ("src/kernels", "^(test_kernels|test_network)$"),
    ("src/model/file", "^(test_model|test_summary|test_models)$"),
    ("src/model", "^(test_network|test_model|test_kernels|test_summary|test_bench)$"),
    ("src/preprocess", "^(test_preprocess|test_preprocessing|test_cli.*)$"),
    ("src/session", "^(test_session|test_c_api)$"),
    ("src/c_api", "^(test_c_api|test_ctypes|test_library)$"),
    ("src/app/image", "^(test_image_header|test_image_decode|test_image_faults|test_corpus|test_app)$"),
    ("src/app/inputs", "^(test_app|test_inputs|test_scale|test_slurm|test_recipes)$"),
    ("src/app/results", "^(test_app|test_outputs|test_resume|test_sort_into|test_embeddings|test_file_calls|test_html|test_ending)$"),
    ("src/app/eval", "^(test_app|test_eval)$"),
    ("src/app/summary", "^(test_app|test_summary)$"),
    ("src/app/bench", "^(test_app|test_bench)$"),
    ("src/app/docs", "^(test_manual)$"),
    ("src/app", "^(test_app|test_cli.*|test_inputs|test_outputs|test_ending|test_people|test_models|test_eval|test_bench)$"),
    ("scripts/mnv2/train", "^(test_train)$"),
    ("scripts/mnv2/peers", "^(test_compare_peers)$"),
    ("scripts/mnv2/convert", "^(test_converter.*|test_convert.*)$"),
    ("scripts", "^(test_scripts|test_train)$"),
)

SOURCE = (".cpp", ".h", ".py")

# (name, pattern, replacements): what stands in a line of code for what else. Group 1 is what is replaced.
OPERATORS = (
    ("comparison", r"(?<=[\w\)\]] )(<=|>=|<|>)(?= [\w\(\-!*&])", {"<": ("<=",), "<=": ("<",), ">": (">=",), ">=": (">",)}),
    ("equality", r"(==|!=)(?!=)", {"==": ("!=",), "!=": ("==",)}),
    ("logic", r"(&&|\|\|)", {"&&": ("||",), "||": ("&&",)}),
    ("python logic", r"\b(and|or)\b", {"and": ("or",), "or": ("and",)}),
    ("arithmetic", r"(?<=[\w\)\]] )([+\-])(?= [\w\(])", {"+": ("-",), "-": ("+",)}),
    ("constant", r"(?<![\w.\"'])(\d+)(?![\w.\"'])", None),  # n + 1
    ("truth", r"\b(true|false|True|False)\b", {"true": ("false",), "false": ("true",), "True": ("False",), "False": ("True",)}),
    ("condition", r"\bif \(((?:[^()]|\([^()]*\))+)\)(?= |$)", None),  # its opposite
    ("python condition", r"^\s*(?:if|elif|while) (.+):$", None),
    ("arguments", r"\b\w+\((\w+, \w+)\)", None),  # in the other order
    ("minmax", r"\bstd::(min|max)\b", {"min": ("max",), "max": ("min",)}),
)


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str
    line: int  # from 1
    operator: str
    before: str
    after: str  # "" removes the line

    def key(self) -> str:
        text = "\0".join((self.path, self.operator, self.before.strip(), self.after.strip(), str(self.line)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_lines(text: str, python: bool) -> list[str]:
    """The lines with comments and the insides of strings blanked; lines that are all preprocessor or docstring empty."""
    result, in_block = [], False
    quote = '"""' if python else "/*"
    for line in text.split("\n"):
        stripped = line.strip()
        if in_block:
            in_block = (quote if python else "*/") not in line
            result.append("")
            continue
        if stripped.startswith(quote) and (stripped.count(quote) == 1 if python else "*/" not in stripped):
            in_block = True
            result.append("")
            continue
        if stripped.startswith(("#", "//", quote, "using ", "import ", "from ", "static_assert", "namespace ", "template", "MNV2_SCHEDULE_POINT")) or "alignas(" in stripped:
            result.append("")
            continue
        line = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', lambda m: m.group()[0] + " " * (len(m.group()) - 2) + m.group()[0], line)
        comment = re.search(r"\s#" if python else r"//", line)
        result.append(line[:comment.start()] if comment else line)
    return result


def mutants_of(path: str, text: str) -> list[Mutant]:
    """All mutants of a file, in its order."""
    python = path.endswith(".py")
    mutants, lines, before = [], text.split("\n"), ""
    for number, (line, code) in enumerate(zip(lines, code_lines(text, python)), 1):
        if not code.strip():
            continue
        for name, pattern, replacements in OPERATORS:
            if name.startswith("python") != python and name in ("python logic", "python condition", "logic", "condition"):
                continue
            for match in re.finditer(pattern, code):
                start, end = match.span(1)
                for new in replacement(name, line[start:end], replacements):
                    mutants.append(Mutant(path, number, name, line, line[:start] + new + line[end:]))
        # A call for its effect, or an assignment to what is there already; not the rest of a longer statement.
        begins = python or before.rstrip().endswith((";", "{", "}", ":", ")")) or not before.strip()
        before = code
        if begins and re.match(r"^\s+[\w.:>\-\[\]\*]+(\([^;]*\)| [+\-|*]?= [^;]*);$" if not python else r"^\s+[\w.]+(\(.*\)| [+\-|]?= [^=].*)$", code) \
                and not re.match(r"^\s+(return|const|auto|throw|raise|case|self\.\w+ = )\b", code):
            mutants.append(Mutant(path, number, "removal", line, re.match(r"\s*", line).group() + ("pass" if python else ";")))
    return mutants


def replacement(name: str, old: str, replacements: dict | None) -> tuple[str, ...]:
    if name == "constant":
        return (str(int(old) + 1),)
    if name == "arguments":
        first, second = old.split(", ")
        return () if first == second else (f"{second}, {first}",)
    if name == "condition":
        return () if "constexpr" in old or ";" in old or " = " in old else (f"!({old})",)
    if name == "python condition":
        return (f"not ({old})",)
    return replacements.get(old, ())


def equivalents() -> set[tuple[str, str, str]]:
    """(path, line before, line after), stripped, of mutants known to make no difference. The file has four lines each:
    path, before, after, the reason; then an empty one."""
    entries = set()
    if EQUIVALENT.exists():
        for entry in EQUIVALENT.read_text().strip().split("\n\n"):
            lines = [line.strip() for line in entry.split("\n") if not line.startswith("#")]
            if len(lines) >= 4:
                entries.add((lines[0], lines[1], lines[2]))
    return entries


def choose(paths: list[str], count: int, seed: int) -> list[Mutant]:
    """`count` mutants at random, spread over the files by their number of lines of code; all when count is 0."""
    files = []
    for path in paths:
        full = ROOT / path
        files += [full] if full.is_file() else sorted(p for p in full.rglob("*") if p.suffix in SOURCE)
    known = equivalents()
    everything = []
    for file in files:
        path = str(file.relative_to(ROOT))
        everything += [m for m in mutants_of(path, file.read_text()) if (path, m.before.strip(), m.after.strip()) not in known]
    if count and count < len(everything):
        everything = random.Random(seed).sample(everything, count)
    return sorted(everything, key=lambda m: (m.path, m.line, m.after))


class Bench:
    """The worktree that mutants are planted in."""

    def __init__(self, work: pathlib.Path, jobs: int, timeout: float):
        self.tree, self.build, self.jobs, self.timeout = work / "tree", work / "build", jobs, timeout
        work.mkdir(parents=True, exist_ok=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
        if not self.tree.exists():
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", self.tree, head], cwd=ROOT, check=True)
        subprocess.run(["git", "checkout", "--quiet", "--force", head], cwd=self.tree, check=True)
        if not (self.build / "build.ninja").exists():
            shared = ROOT.parent / "shared"
            subprocess.run(["cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                            "-DMNV2_BUILD_TESTS=ON", f"-DMNV2_SHARED_DIR={shared}"], check=True, stdout=subprocess.DEVNULL)
        if not self.compiles():
            sys.exit(f"mutate.py: HEAD does not build; see {self.build}")

    def run(self, *command: str, timeout: float) -> int | None:
        """The status of a command, or None when it took too long; its whole group is ended then."""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    def compiles(self) -> bool:
        return self.run("cmake", "--build", str(self.build), "--parallel", str(self.jobs), timeout=3600) == 0

    def try_mutant(self, mutant: Mutant) -> dict:
        file = self.tree / mutant.path
        original = file.read_text()
        lines = original.split("\n")
        assert lines[mutant.line - 1] == mutant.before, f"{mutant.path}:{mutant.line} is not what it was"
        lines[mutant.line - 1] = mutant.after
        started = time.monotonic()
        try:
            file.write_text("\n".join(lines))
            result, test = ("survived", "") if self.compiles() else ("does not build", "")
            if result == "survived":
                result, test = self.test(mutant.path)
        finally:
            file.write_text(original)
        return {**dataclasses.asdict(mutant), "key": mutant.key(), "result": result, "test": test,
                "seconds": round(time.monotonic() - started, 1)}

    def test(self, path: str) -> tuple[str, str]:
        pattern = next((tests for prefix, tests in COVERAGE if path.startswith(prefix)), ".")
        status = self.run("ctest", "--test-dir", str(self.build), "-R", pattern, "--stop-on-failure", "--timeout", str(int(self.timeout)),
                          "--parallel", str(self.jobs), timeout=10 * self.timeout)
        if status is None:
            return "timed out", pattern
        if status == 0:
            return "survived", ""
        failed = self.build / "Testing/Temporary/LastTestsFailed.log"
        return "killed", failed.read_text().split("\n")[0].partition(":")[2] if failed.exists() else "?"


def table(results: list[dict]) -> str:
    """Counts by folder; what does not build is no mutant. One that timed out is killed: it hung where HEAD does not."""
    folders: dict[str, dict[str, int]] = {}
    for r in results:
        if r["result"] != "does not build":
            counts = folders.setdefault("/".join(r["path"].split("/")[:3 if r["path"].startswith("src/app/") else 2]), {})
            counts[r["result"]] = counts.get(r["result"], 0) + 1
    lines = [f"{'':24} {'killed':>8} {'timed out':>10} {'survived':>9} {'rate':>7}"]
    total: dict[str, int] = {}
    for folder, counts in sorted(folders.items()) + [("all", total)]:
        killed, late, survived = (counts.get(k, 0) for k in ("killed", "timed out", "survived"))
        if counts is not total:
            for key, count in counts.items():
                total[key] = total.get(key, 0) + count
        if killed + late + survived:
            lines.append(f"{folder:24} {killed:8} {late:10} {survived:9} {100 * (killed + late) / (killed + late + survived):6.1f}%")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="FILE_OR_FOLDER", help="below the repository's root")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build-mutants", help="default: build-mutants")
    parser.add_argument("--count", type=int, default=0, help="how many mutants, at random; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=120, help="seconds for a test; default: 120")
    parser.add_argument("--list", action="store_true", help="show the mutants, plant none")
    arguments = parser.parse_args()
    for path in arguments.paths:
        if not (ROOT / path).exists():
            parser.error(f"{path}: no such file or folder below {ROOT}")
    mutants = choose(arguments.paths, arguments.count, arguments.seed)
    if arguments.list:
        for m in mutants:
            print(f"{m.path}:{m.line}: {m.operator}: {m.before.strip()}  ->  {m.after.strip()}")
        return 0
    log = arguments.work / "RESULTS.jsonl"
    done = {r["key"]: r for r in map(json.loads, log.read_text().splitlines())} if log.exists() else {}
    bench = None
    results = []
    for i, mutant in enumerate(mutants, 1):
        if mutant.key() in done:
            results.append(done[mutant.key()])
            continue
        bench = bench or Bench(arguments.work, arguments.jobs, arguments.timeout)
        results.append(bench.try_mutant(mutant))
        with log.open("a") as file:
            file.write(json.dumps(results[-1]) + "\n")
        r = results[-1]
        print(f"{i}/{len(mutants)} {r['result']:14} {r['seconds']:6.1f} s  {r['path']}:{r['line']} {r['operator']}: "
              f"{r['after'].strip()}  {r['test']}", flush=True)
    print(table(results))
    for r in results:
        if r["result"] == "survived":
            print(f"survived: {r['path']}:{r['line']}: {r['before'].strip()}  ->  {r['after'].strip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
