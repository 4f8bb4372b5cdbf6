"""What the README files show, for the tests that run it."""

import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[3]
README = ROOT / "README.md"
PROGRAM_README = ROOT / "src/app/README.md"
SCRIPTS_README = ROOT / "scripts/README.md"
LIBRARY_README = ROOT / "include/mnv2/README.md"
READMES = (README, PROGRAM_README, ROOT / "tests/bench/README.md", ROOT / "models/README.md", SCRIPTS_README, LIBRARY_README,
           ROOT / "src/README.md")


def code_blocks(readme):
    """The indented blocks, without their indentation."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", readme.read_text(), re.M)
    return [textwrap.dedent(block).strip("\n") + "\n" for block in blocks]


def code_block(readme, containing):
    """The one indented block of the file that has this text, without its indentation."""
    found = [block for block in code_blocks(readme) if containing in block]
    if len(found) != 1:
        raise LookupError(f"{len(found)} blocks of {readme} have '{containing}', expected one")
    return found[0]


def commands(readme, first_word):
    """The commands whose first word matches, in the file's order, each with the lines that follow it after a backslash
    and, where it is shown as typed ("$ command"), with the lines of output below it."""
    found = []
    for block in code_blocks(readme):
        lines = re.sub(r"\\\n\s*", "", block).splitlines()
        for i, line in enumerate(lines):
            command = line.removeprefix("$ ")
            if re.match(rf"{first_word}(\s|$)", command):
                output = []
                if line.startswith("$ "):
                    for following in lines[i + 1:]:
                        if not following or following.startswith("$ "):
                            break
                        output.append(following)
                found.append((command, output))
    return found
