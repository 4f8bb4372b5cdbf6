"""The per-ISA translation units export their table and nothing else (src/README.md, "Instruction sets").

A weak symbol compiled with -mavx512f could replace the baseline's copy of the same inline function and crash an old CPU.
"""

import os
import re
import subprocess
import sys
import unittest

LIBRARY = os.environ.get("MNV2_LIBRARY", "")
NM = os.environ.get("MNV2_NM", "nm")


def defined_globals(library):
    """{object file: [external or weak symbols it defines]} of a static library."""
    text = subprocess.run([NM, "-C", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    symbols, member = {}, None
    for line in text.splitlines():
        header = re.fullmatch(r"(\S+\.o):", line)
        if header:
            member = header.group(1)
            symbols[member] = []
        entry = re.fullmatch(r"[0-9a-f]* +(\S) (.*)", line)
        if entry and (entry.group(1).isupper() or entry.group(1) in "vwu"):
            symbols[member].append(entry.group(2))
    return symbols


class SymbolsTest(unittest.TestCase):
    def test_isa_objects_export_one_table_each(self):
        symbols = defined_globals(LIBRARY)
        isa_objects = {name: found for name, found in symbols.items() if name.startswith("isa_")}
        self.assertIn("isa_portable.cpp.o", isa_objects)
        for name, found in isa_objects.items():
            # Compilers may add a reference to the exception personality; it is no code of ours.
            found = [symbol for symbol in found if not symbol.startswith("DW.ref.")]
            isa = re.fullmatch(r"isa_(\w+)\.cpp\.o", name).group(1).capitalize()
            self.assertEqual(found, [f"mnv2::kernels::k{isa}Kernels"], name)

    def test_nm_sees_other_symbols(self):
        """The check above can fail: other objects do define weak and external symbols."""
        symbols = defined_globals(LIBRARY)
        self.assertGreater(len(symbols["network.cpp.o"]), 1)


if __name__ == "__main__":
    if not LIBRARY:
        print("skipped: MNV2_LIBRARY does not name the static library")
        sys.exit(77)
    unittest.main()
