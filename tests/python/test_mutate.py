"""tools/mutate.py: which faults it plants, and that it leaves alone what is no code."""

import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[1] / "tools" / "mutate.py"
SPEC = importlib.util.spec_from_file_location("mutate", TOOL)
mutate = importlib.util.module_from_spec(SPEC)
sys.modules["mutate"] = mutate
SPEC.loader.exec_module(mutate)


def afters(text, path="a.cpp"):
    return [m.after.strip() for m in mutate.mutants_of(path, text)]


class Mutate(unittest.TestCase):
    def test_cpp(self):
        self.assertEqual(afters("  if (a < b && done) return 3;"),
                         ["if (a <= b && done) return 3;", "if (a < b || done) return 3;", "if (a < b && done) return 4;",
                          "if (!(a < b && done)) return 3;"])
        self.assertEqual(afters("{\n  close(fd);\n}"), [";"])
        self.assertEqual(afters("{\n  copy(from, to);\n}"), ["copy(to, from);", ";"])
        self.assertEqual(afters("{\n  total += n;\n}"), [";"])
        self.assertEqual(afters("{\n  x = std::min(a,\n       b);\n}"), ["x = std::max(a,"])

    def test_python(self):
        self.assertEqual(afters("    if a == 1 and b:", "a.py"),
                         ["if a != 1 and b:", "if a == 1 or b:", "if a == 2 and b:", "if not (a == 1 and b):"])
        self.assertEqual(afters("    self.close()", "a.py"), ["pass"])

    def test_no_code_is_left_alone(self):
        for line in ("// if (a < b) return 3;", "#include <x.h>", "", '  const char* s = "a < b && 3";', "using a = b<3>;",
                     "/* a < b", "template <int N = 3>", "  static_assert(a < 3);"):
            self.assertEqual(afters(line), [], line)
        self.assertEqual(afters('"""\nif a < 3:\n"""\n# a < 3\nimport b', "a.py"), [])

    def test_every_mutant_is_another_line(self):
        for path in ("src/core/thread_pool.cpp", "src/model/plan/planner.cpp", "scripts/mnv2/progress.py"):
            file = TOOL.parents[2] / path
            if not file.exists():
                continue
            found = mutate.mutants_of(path, file.read_text())
            self.assertGreater(len(found), 10, path)
            self.assertTrue(all(m.before != m.after for m in found))
            self.assertEqual(len({m.key() for m in found}), len(found))

    def test_the_table_counts_a_hang_as_killed_and_leaves_out_what_does_not_build(self):
        results = [{"path": "src/core/a.cpp", "result": r} for r in ("killed", "timed out", "survived", "does not build", "killed")]
        self.assertEqual(mutate.table(results).split("\n")[1].split(), ["src/core", "2", "1", "1", "75.0%"])

    def test_wrong_use(self):
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run([sys.executable, TOOL, "--work", folder, "no/such/file"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 2)
        self.assertIn("no/such/file: no such file or folder", run.stderr)


if __name__ == "__main__":
    unittest.main()
