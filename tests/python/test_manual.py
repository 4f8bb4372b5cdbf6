"""The manual page and the shells' completions: checked by groff, mandoc and the shells themselves, against --help.

MNV2_SHARE names the folder that the build has put them into.
"""

import gzip
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import time
import unittest
import unittest.mock

from support.cli import PROGRAM, TIMEOUT, Case
from support.readme import PROGRAM_README, code_block

SHARE = pathlib.Path(os.environ["MNV2_SHARE"])
ROOT = pathlib.Path(__file__).resolve().parents[2]
MAN_PAGE = SHARE / "man/man1/mnv2-classify.1"
BASH = SHARE / "bash-completion/completions/mnv2-classify"
ZSH = SHARE / "zsh/site-functions"
FISH = SHARE / "fish/vendor_completions.d/mnv2-classify.fish"


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"no {program} here")


class Manual(Case):
    def setUp(self):
        super().setUp()
        help_text = re.sub(r"\|\n +", "|", self.run_program("--help")[0].decode())  # choices go on in the next line
        # "  -k, --top-k N    how many ..."
        self.flags = re.findall(r"^  (?:(-\w), |    )(--[\w-]+)(?: (\S+))?", help_text, re.MULTILINE)
        self.assertGreater(len(self.flags), 25)
        self.names = {name for flag in self.flags for name in flag[:2] if name}

    def choices(self, name):
        return next(value.split("|") for _, long_name, value in self.flags if long_name == name)


class ManPage(Manual):
    def check(self, *command):
        result = subprocess.run(command, capture_output=True, timeout=TIMEOUT,
                                env={**self.environment, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"})
        self.assertEqual((result.returncode, result.stderr.decode()), (0, ""), command)
        return result.stdout.decode()

    @needs("groff")
    def test_groff_has_no_complaint_and_shows_every_flag(self):
        page = str(MAN_PAGE)
        self.check("groff", "-ww", "-man", "-Tutf8", "-z", page)
        text = re.sub(r"\x1b\[[\d;]*m|.\x08", "", self.check("groff", "-man", "-Tutf8", "-P-c", page))
        for name in self.names:
            self.assertRegex(text, rf"(?m)^ +(-\w, )?{name}\b", name)
        for short_name, name, value in self.flags:
            if value:
                start = re.search(rf"(?m)^ +(-\w, )?{name}\b", text).start()
                # A long value may go on in the next line.
                self.assertIn(f"{name}{value}", re.sub(r"\s", "", text[start:start + len(name) + len(value) + 100]))
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"):
            self.assertRegex(text, rf"(?m)^{section}$")
        self.assertIn("find . -name '*.jpg' | mnv2-classify -", text)  # as typed: no typographic quotes or dashes

    @needs("man")
    def test_man_has_no_warnings(self):
        self.check("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(MAN_PAGE))

    @needs("mandoc")
    def test_mandoc_has_no_complaint(self):
        self.assertEqual(self.check("mandoc", "-T", "lint", "-W", "warning", str(MAN_PAGE)), "")


class Installed(Case):
    def test_everything_is_where_it_is_looked_for(self):
        subprocess.run(["cmake", "--install", str(SHARE.parent), "--prefix", str(self.folder / "usr"), "--component", "program"],
                       check=True, stdout=subprocess.DEVNULL, timeout=TIMEOUT)
        installed = self.folder / "usr/share"
        for page in (BASH, ZSH / "_mnv2-classify", FISH):
            self.assertEqual((installed / page.relative_to(SHARE)).read_bytes(), page.read_bytes())
        for name, source in ((f"{MAN_PAGE.relative_to(SHARE)}.gz", MAN_PAGE),
                             ("doc/mnv2-classify/changelog.gz", ROOT / "src/package/changelog")):
            self.assertEqual(gzip.decompress((installed / name).read_bytes()), source.read_bytes())
        text = (installed / "doc/mnv2-classify/copyright").read_text()
        for word in ("OpenCV", "SoftFloat", "CLI11", "nlohmann", "spdlog", "fmt", "Apache-2.0", "BSD-3-Clause", "Expat"):
            self.assertIn(word, text)


class Shell:
    """An interactive shell on a terminal. Lines are typed with tabs in them; a function shows the words that came out."""

    def __init__(self, command, environment, folder, setup):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, {**environment, "TERM": "dumb"})
        self.received = ""
        self.run("\n".join(setup) + "\necho rea''dy\n", "ready")

    def run(self, text, until):
        """Types `text`; what has been shown once that matches `until`."""
        os.write(self.terminal, text.encode())
        begin = len(self.received)
        deadline = time.monotonic() + TIMEOUT
        while not re.search(until, self.received[begin:]):
            if time.monotonic() > deadline:
                raise AssertionError(f"no {until!r} in {self.received[begin:]!r}")
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.received += os.read(self.terminal, 65536).decode(errors="replace")
        return re.search(until, self.received[begin:])

    def words(self, line):
        """The words of the command after the tabs in `line` have been worked on."""
        return self.run(line + "\n", r"words:(<.*>)\r?\n").group(1)[1:-1].split("><")

    def close(self):
        os.close(self.terminal)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


class Bash(Manual):
    def complete(self, *words):
        """What the completion offers for the last word."""
        script = (f"source '{BASH}'; compopt() {{ echo \"compopt $*\"; }}; COMP_WORDS=(mnv2-classify \"$@\"); "
                  "COMP_CWORD=$#; _mnv2_classify; printf '%s\\n' \"${COMPREPLY[@]}\"")
        result = subprocess.run(["bash", "--norc", "-c", script, "bash", *words], capture_output=True, timeout=TIMEOUT)
        self.assertEqual(result.stderr, b"")
        lines = result.stdout.decode().split("\n")
        self.options = [line for line in lines if line.startswith("compopt")]
        return {line for line in lines if line and not line.startswith("compopt")}

    def test_flags(self):
        self.assertEqual(self.complete("-"), self.names)
        self.assertEqual(self.complete("--"), {name for name in self.names if name.startswith("--")})
        self.assertEqual(self.complete("a.jpg", "--form"), {"--format"})
        self.assertEqual(self.complete("--", "--form"), set())  # after --, everything is a file
        self.assertEqual(self.complete("a"), set())

    def test_values(self):
        formats = set(self.choices("--format"))
        self.assertIn("jsonl", formats)
        for words in (("--format", ""), ("-f", ""), ("--format", "="), ("--format", "=", ""), ("x", "-q", "-f", "")):
            self.assertEqual(self.complete(*words), formats, words)
        self.assertEqual(self.complete("--format", "=", "t"), {"text"})
        for _, name, value in self.flags:
            if "|" in value:
                self.assertEqual(self.complete(name, ""), set(value.split("|")))
        self.assertEqual(self.complete("--precision", ""), set(self.choices("--precision")))
        self.assertIn("portable", self.complete("--isa", ""))
        self.assertEqual(self.complete("--top-k", ""), set())
        self.assertIn("compopt +o bashdefault +o default", self.options)  # no files for a number
        self.assertEqual(self.complete("--labels", ""), set())
        self.assertEqual(self.options, [])  # readline's own file names
        self.complete("--sort-into", "")
        self.assertIn("compopt -o dirnames", self.options)

    def test_models_by_name(self):
        data = self.folder / "data/mnv2-classify"
        data.mkdir(parents=True)
        for name in ("mine", "other"):
            shutil.copy(self.model, data / f"{name}.safetensors")
        environment = {"XDG_DATA_HOME": str(self.folder / "data"), "PATH": f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}"}
        with unittest.mock.patch.dict(os.environ, environment):
            self.assertEqual({"mine", "other", "figure-kinds"} - self.complete("-m", ""), set())
            self.assertEqual(self.complete("--model", "m"), {"mine"})
        self.assertEqual(self.options, [])  # readline's own file names where no model is called so

    def test_as_the_readme_has_it(self):
        """In a folder where build/ is the build."""
        (self.folder / "build").symlink_to(SHARE.parent)
        show, source = (line.strip() for line in code_block(PROGRAM_README, "build/share/man").splitlines())
        text = subprocess.run(["bash", "--norc", "-c", show], cwd=self.folder, capture_output=True, timeout=TIMEOUT,
                              env={**self.environment, "LC_ALL": "C.UTF-8"}) if shutil.which("man") else None
        if text:
            self.assertIn("tell what is in images", text.stdout.decode())
        result = subprocess.run(["bash", "--norc", "-c", f"{source}; complete -p mnv2-classify"], cwd=self.folder,
                                capture_output=True, timeout=TIMEOUT)
        self.assertIn(b"_mnv2_classify mnv2-classify", result.stdout)

    def test_at_a_terminal(self):
        self.make("my photo.jpg")
        self.make("labels.txt", b"a\n")
        (self.folder / "sorted").mkdir()
        self.make("sorted.txt", b"")
        shell = Shell(["bash", "--norc", "--noprofile", "-i"], self.environment, self.folder,
                      ["bind 'set bell-style none'", f"source '{BASH}'",
                       "mnv2-classify() { printf 'words:'; printf '<%s>' \"$@\"; echo; }"])
        self.addCleanup(shell.close)
        self.assertEqual(shell.words("mnv2-classify --form\tte\tmy\t"), ["--format", "text", "my photo.jpg"])
        self.assertEqual(shell.words("mnv2-classify --labels lab\t -k 3 my\t"),
                         ["--labels", "labels.txt", "-k", "3", "my photo.jpg"])
        self.assertEqual(shell.words("mnv2-classify --progress=al\t--sort-into so\tx"),
                         ["--progress=always", "--sort-into", "sorted/x"])


@needs("zsh")
class Zsh(Manual):
    def test_at_a_terminal(self):
        self.make("my photo.jpg")
        self.make("labels.txt", b"a\n")
        shell = Shell(["zsh", "-f", "-i"], self.environment, self.folder,
                      ["PS1='> '; unsetopt zle_bracketed_paste prompt_sp; setopt no_beep", f"fpath=('{ZSH}' $fpath)",
                       "autoload -U compinit; compinit -u -D",
                       "mnv2-classify() { print -r -- \"words:<${(j:><:)@}>\" }"])
        self.addCleanup(shell.close)
        self.assertEqual(shell.words("mnv2-classify --form\tte\t my\t"), ["--format=text", "my photo.jpg"])
        self.assertEqual(shell.words("mnv2-classify --labels lab\t -k 3 my\t"),
                         ["--labels", "labels.txt", "-k", "3", "my photo.jpg"])

    def test_every_flag_is_there(self):
        text = (ZSH / "_mnv2-classify").read_text()
        self.assertEqual(set(re.findall(r"(?<![\w-])--[a-z][\w-]*(?==?(?:'\[|\}))", text)),
                         {name for name in self.names if name.startswith("--")})
        subprocess.run(["zsh", "-n", str(ZSH / "_mnv2-classify")], check=True, timeout=TIMEOUT)


@needs("fish")
class Fish(Manual):
    def complete(self, line):
        result = subprocess.run(["fish", "--no-config", "-c", f"source '{FISH}'; complete -C '{line}'"], cwd=self.folder,
                                env=self.environment, capture_output=True, timeout=TIMEOUT)
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        return {candidate.split("\t")[0] for candidate in result.stdout.decode().splitlines()}

    def test_flags_values_and_files(self):
        self.make("labels.txt", b"a\n")
        self.assertEqual(self.complete("mnv2-classify --"), {name for name in self.names if name.startswith("--")})
        self.assertEqual(self.complete("mnv2-classify --format "), set(self.choices("--format")))
        self.assertEqual(self.complete("mnv2-classify --color="), {f"--color={w}" for w in ("always", "auto", "never")})
        self.assertIn("labels.txt", self.complete("mnv2-classify --labels l"))
        self.assertNotIn("labels.txt", self.complete("mnv2-classify --top-k l"))
        self.assertIn("labels.txt", self.complete("mnv2-classify l"))


if __name__ == "__main__":
    if not SHARE.is_dir():
        print(f"skipped: no {SHARE}, which a cross-compiling build does not make")
        sys.exit(77)
    unittest.main()
