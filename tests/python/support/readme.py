"""The commands that the README shows, for the tests that run them."""

import pathlib
import re
import textwrap

README = pathlib.Path(__file__).resolve().parents[3] / "README.md"


def code_block(section, containing):
    """The one indented block of the section that has this text, without its indentation."""
    text = README.read_text()
    body = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", body, re.M)]
    found = [block.strip("\n") + "\n" for block in blocks if containing in block]
    if len(found) != 1:
        raise LookupError(f"{len(found)} blocks of '{section}' in {README} have '{containing}', expected one")
    return found[0]
