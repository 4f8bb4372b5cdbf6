"""Where the program looks for its model, and files that are none. Needs what support/cli.py needs."""

import os
import pathlib
import resource
import shutil
import subprocess
import sys
import unittest

from support.cli import MAKE_MODEL, PROGRAM, TIMEOUT, Case, parse, png_bytes


class ModelFile(Case):
    def test_search_order(self):
        """Each place counts when those before it have nothing; told apart by their number of classes."""
        image = self.make("a.png")
        home, data_home, data_dir = (self.folder / n for n in ("home", "data_home", "data_dir"))
        self.environment.update(HOME=str(home), MNV2_MODEL="", XDG_DATA_DIRS=f"/nonexistent:{data_dir}")

        def put(path, classes):
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([MAKE_MODEL, str(path), "--classes", str(classes)], check=True)

        def found(*flags):
            return len(self.records(*flags, "-k", "1000", image)[0]["top"])

        name = "mnv2-classify/mobilenet_v2.safetensors"
        prefix = self.folder / "prefix"  # an installed program finds its own share/
        (prefix / "bin").mkdir(parents=True)
        shutil.copy(PROGRAM, prefix / "bin")
        put(prefix / "share" / name, 11)
        out = subprocess.run([prefix / "bin" / os.path.basename(PROGRAM), "-k", "1000", image], env=self.environment,
                             stdout=subprocess.PIPE, timeout=TIMEOUT, check=True).stdout
        self.assertEqual(len(parse(out)["top"]), 11)

        put(data_dir / name, 12)
        self.assertEqual(found(), 12)
        put(home / ".local/share" / name, 13)
        self.assertEqual(found(), 13)
        put(data_home / name, 14)
        self.environment["XDG_DATA_HOME"] = str(data_home)
        self.assertEqual(found(), 14)
        put(self.folder / "by_variable", 15)
        self.environment["MNV2_MODEL"] = str(self.folder / "by_variable")
        self.assertEqual(found(), 15)
        put(self.folder / "by_flag", 16)
        self.assertEqual(found("--model", str(self.folder / "by_flag")), 16)

    def test_not_found(self):
        image = self.make("a.png")
        out, err = self.run_program("-m", str(self.folder / "nothing"), image, status=3)
        self.assertEqual(out, b"")
        self.assertIn("nothing", err)
        self.assertIn("convert_torchvision.py", err)
        _, err = self.run_program("-m", "nothing", "--bench", status=3)
        self.assertIn("nothing", err)

    def test_every_path_tried_is_told(self):
        program = self.folder / "bin" / "mnv2-classify"
        program.parent.mkdir()
        shutil.copy(PROGRAM, program)
        self.environment.update(MNV2_MODEL="", XDG_DATA_DIRS="/nonexistent/one:/nonexistent/two")
        result = subprocess.run([program, self.make("a.png")], env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=TIMEOUT)
        if result.returncode == 0:
            self.skipTest("SKIPPED: the source tree has a model")
        self.assertEqual((result.returncode, result.stdout), (3, b""))
        tried = [line.split()[1] for line in result.stderr.decode().splitlines() if line.startswith("  tried ")]
        folders = [f"{self.folder}/home/.local/share", "/nonexistent/one", "/nonexistent/two", f"{self.folder}/share"]
        self.assertEqual(tried[:4], [f"{f}/mnv2-classify/mobilenet_v2.safetensors" for f in folders])
        self.assertTrue(tried[4].endswith("models/mobilenet_v2.safetensors"))
        self.assertIn(b"convert_torchvision.py", result.stderr)

    def test_files_that_are_no_model(self):
        image = self.make("a.png")
        model = pathlib.Path(self.model).read_bytes()
        for data in (b"", b"no model", model[:len(model) // 2], b"\xff" * 64, png_bytes(5, 5, 1)):
            out, err = self.run_program("-m", self.make("bad.safetensors", data), image, status=3)
            self.assertEqual(out, b"")
            self.assertIn("bad.safetensors", err)
        self.run_program("-m", str(self.folder), image, status=3)

    def test_a_model_without_classifier_is_refused(self):
        model = str(self.folder / "features.safetensors")
        subprocess.run([MAKE_MODEL, model, "--features"], check=True)
        _, err = self.run_program("-m", model, self.make("a.png"), status=3)
        self.assertIn("the model has no classifier: ", err)
        self.assertEqual(err.count("\n"), 1, err)

    def test_a_crop_that_the_engine_does_not_take_is_one_line(self):
        model = str(self.folder / "large.safetensors")
        subprocess.run([MAKE_MODEL, model, "--crop", "5000"], check=True)
        _, err = self.run_program("-m", model, self.make("a.png"), status=3)
        self.assertEqual(err.count("\n"), 1, err)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)
