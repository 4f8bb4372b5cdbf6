"""The per-ISA translation units export their table and nothing else (src/README.md, "Kernels"), and the shared library
what its public headers declare.

A weak symbol compiled with -mavx512f could replace the baseline's copy of the same inline function and crash an old CPU.
A symbol of another name could replace, or be replaced by, one of the program that loads the library.
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest

LIBRARY = os.environ.get("MNV2_LIBRARY", "")
SHARED_LIBRARY = os.environ.get("MNV2_SHARED_LIBRARY", "")
NM = os.environ.get("MNV2_NM", "nm")
HEADERS = pathlib.Path(__file__).resolve().parents[2] / "include/mnv2"


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
    def test_isa_objects_export_their_tables_alone(self):
        symbols = defined_globals(LIBRARY)
        isa_objects = {name: found for name, found in symbols.items() if name.startswith("isa_")}
        self.assertIn("isa_portable.cpp.o", isa_objects)
        for name, found in isa_objects.items():
            # Compilers may add a reference to the exception personality; it is no code of ours.
            found = [symbol for symbol in found if not symbol.startswith("DW.ref.")]
            isa = re.fullmatch(r"isa_(\w+)\.cpp\.o", name).group(1).capitalize()
            tables = [isa, "Avx512Zen"] if isa == "Avx512" else [isa]  # the same kernels and two more
            self.assertEqual(found, [f"mnv2::kernels::k{table}Kernels" for table in tables], name)

    def test_nm_sees_other_symbols(self):
        """The check above can fail: other objects do define weak and external symbols."""
        symbols = defined_globals(LIBRARY)
        self.assertGreater(len(symbols["network.cpp.o"]), 1)

    @unittest.skipUnless(SHARED_LIBRARY, "MNV2_SHARED_LIBRARY does not name the shared library")
    def test_the_shared_library_exports_what_its_headers_declare(self):
        text = subprocess.run([NM, "-DC", "--defined-only", SHARED_LIBRARY], check=True, capture_output=True,
                              text=True).stdout
        exported = [re.sub(r"^[0-9a-f]* +\S ", "", line) for line in text.splitlines()]
        declared = {path.name: path.read_text() for path in HEADERS.iterdir()}
        c_functions = set(re.findall(r"\b(mnv2_\w+)\(.*", re.sub(r"///.*", "", declared["mnv2.h"]))) | {"mnv2_version"}
        self.assertGreater(len(c_functions), 10)
        others = [name for name in exported if name.startswith(("typeinfo", "vtable"))]
        self.assertEqual({name.rpartition(" ")[2] for name in others}, {"mnv2::Error"})
        self.assertEqual({name for name in exported if not name.startswith("mnv2::")} - set(others), c_functions)
        names = {name: re.sub(r"(\(|\[abi).*", "", name) for name in exported if name.startswith("mnv2::")}
        self.assertGreater(len(names), 30)
        cpp = "\n".join(text for name, text in declared.items() if name != "mnv2.h")
        for full, name in names.items():
            scopes = name.split("::")[1:]
            for scope in scopes[:-1]:
                self.assertRegex(cpp, rf"(class|struct) (MNV2_API )?{scope} {{", full)
            self.assertRegex(cpp, rf"(?<!\w){re.escape(scopes[-1])}\(", full)


if __name__ == "__main__":
    if not LIBRARY:
        print("skipped: MNV2_LIBRARY does not name the static library")
        sys.exit(77)
    unittest.main()
