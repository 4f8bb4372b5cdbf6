"""Models by name: --model NAME, --list-models, and the model that comes with the program. Needs what support/cli.py needs."""

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from support.cli import CLASSES, MAKE_MODEL, PROGRAM, TIMEOUT, Case, parse

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"


class Models(Case):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data/mnv2-classify"
        self.data.mkdir(parents=True)
        self.environment.update(XDG_DATA_HOME=str(self.folder / "data"), MNV2_MODEL="")

    def test_a_model_by_name(self):
        image = self.make("a.png")
        shutil.copy(self.model, self.data / "mine.safetensors")
        shutil.copy(self.model, self.data / "mobilenet_v2.safetensors")
        for name in ("mine", "imagenet"):
            out, err = self.run_program("-m", name, image)
            self.assert_ok(parse(out), image)
            self.assertEqual(err, "")
        out, err = self.run_program("-m", "yours", image, status=3)
        self.assertEqual(out, b"")
        self.assertIn("model 'yours' (from --model): no such file", err)
        self.assertIn(f"tried {self.data}/yours.safetensors", err)
        self.assertIn("--list-models", err)
        self.assertNotIn("imagenet", err.lower())  # how to make that one would not help

    @unittest.skipIf(os.environ.get("MNV2_SANITIZE"), "sanitizers keep freed memory back")
    def test_mapped_weights_leave_memory_as_they_are_packed(self):
        image = self.make("a.png")
        full = self.folder / "full.safetensors"
        subprocess.run([MAKE_MODEL, full, "--full"], check=True)

        def peak(model, threads):
            process = subprocess.Popen([PROGRAM, "-t", threads, "-m", model, image], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            return usage.ru_maxrss * 1024

        # Besides the packed weights there are the activations, 2 MB, and what of the mapping is not packed yet.
        self.assertLess(peak(full, "1") - peak(self.model, "1"), 1.4 * full.stat().st_size)
        self.assertLess(peak(full, "2") - peak(self.model, "2"), 2 * full.stat().st_size)

    def test_a_file_goes_before_a_name(self):
        image = self.make("a.png")
        shutil.copy(self.model, self.folder / "mine")
        (self.data / "mine.safetensors").write_bytes(b"no model")
        self.run_program("-m", "mine", image, cwd=self.folder)
        self.run_program("-m", "mine", image, cwd="/", status=3)

    def test_the_own_model_stands_in_and_says_so(self):
        samples = sorted((MODELS / "samples").iterdir())
        out, err = self.run_program("-k", "1", *map(str, samples))
        if (MODELS / "mobilenet_v2.safetensors").exists():
            self.assertEqual(err, "")
            return
        self.assertIn("warning: no ImageNet model found: using figure-kinds", err)
        out, err = self.run_program("-m", "figure-kinds", "-k", "1", *map(str, samples))
        self.assertEqual(err, "")
        for path, line in zip(samples, out.decode().splitlines(), strict=True):
            self.assertEqual(parse(line)["top"][0]["label"].replace(" ", "_"), path.stem)

    def test_every_sample_is_recognised(self):
        samples = sorted((MODELS / "samples").iterdir())
        self.assertGreater(len(samples), 4)
        for record in self.records("-m", "figure-kinds", "-k", "1", *map(str, samples)):
            self.assertEqual(record["top"][0]["label"].replace(" ", "_"), Path(record["path"]).stem)

    def test_the_list(self):
        shutil.copy(self.model, self.data / "mine.safetensors")
        (self.data / "broken.safetensors").write_bytes(b"no model")
        (self.data / "notes.txt").write_text("")
        taken = next(name for name in ("mobilenet_v2.safetensors", "figure-kinds.safetensors") if (MODELS / name).exists())
        out, _ = self.run_program("--list-models", "-f", "json")
        models = {model["path"]: model for model in parse(out)}
        mine = models[str(self.data / "mine.safetensors")]
        self.assertEqual((mine["name"], mine["classes"], mine["input_size"]), ("mine", CLASSES, 32))
        broken = models[str(self.data / "broken.safetensors")]
        self.assertEqual(broken["error"]["code"], "invalid_model")
        own = models[str(MODELS / "figure-kinds.safetensors")]
        self.assertEqual((own["name"], own["classes"], own["input_size"]), ("figure-kinds", 14, 160))
        self.assertEqual(list(models)[:2], [str(self.data / "broken.safetensors"), str(self.data / "mine.safetensors")])
        self.assertEqual([model["taken"] for model in models.values()],
                         [Path(path).name == taken for path in models])
        self.assertEqual({model["hidden_by"] for model in models.values()}, {None})
        text = self.run_program("--list-models")[0].decode()
        self.assertIn(f"mine\n  {self.data}/mine.safetensors\n  {CLASSES} classes, input 32x32, ", text)
        self.assertEqual(text.count("(taken without --model)"), 1)
        self.assertIn("  cannot be used: ", text)
        self.run_program("--list-models", self.model, status=2)
        self.run_program("--list-models", "--summary", status=2)


    def test_the_list_marks_what_is_taken_and_what_is_hidden(self):
        shutil.copy(self.model, self.data / "figure-kinds.safetensors")
        shutil.copy(self.model, self.data / "mobilenet_v2.safetensors")
        own = str(MODELS / "figure-kinds.safetensors")
        models = {model["path"]: model for model in parse(self.run_program("--list-models", "-f", "json")[0])}
        self.assertEqual([path for path, model in models.items() if model["taken"]], [f"{self.data}/mobilenet_v2.safetensors"])
        self.assertEqual(models[own]["hidden_by"], f"{self.data}/figure-kinds.safetensors")
        text = self.run_program("--list-models")[0].decode()
        self.assertIn(f"imagenet  (taken without --model)\n  {self.data}/mobilenet_v2.safetensors\n", text)
        self.assertIn(f"figure-kinds  (only by its path: {self.data}/figure-kinds.safetensors has this name)\n  {own}\n", text)
        self.environment["MNV2_MODEL"] = own
        self.assertIn(f"figure-kinds  (taken: $MNV2_MODEL names it)  (only by its path: {self.data}/figure-kinds",
                      self.run_program("--list-models")[0].decode())
        self.environment["MNV2_MODEL"] = self.model
        self.assertIn(f"\ntaken: $MNV2_MODEL names {self.model}\n", self.run_program("--list-models")[0].decode())


class Quickstart(Case):
    """scripts/quickstart.sh in a clone of its own, whose Python has no numpy, with no ../shared beside it."""

    def setUp(self):
        super().setUp()
        self.clone = self.folder / "a clone"
        shutil.copytree(ROOT / "scripts", self.clone / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (self.clone / "models").mkdir()
        shutil.copy(MODELS / "figure-kinds.safetensors", self.clone / "models")
        shutil.copytree(MODELS / "samples", self.clone / "models/samples")
        opencv = self.clone / "build/opencv/lib/cmake/opencv4"
        opencv.mkdir(parents=True)
        (opencv / "OpenCVConfig.cmake").touch()
        (self.clone / "build/mnv2-classify").symlink_to(PROGRAM)
        self.write_tool("cmake", "exit 0")  # the program is built
        self.write_tool("dpkg-query", "echo install ok installed")
        self.write_tool("python-without-numpy", f'exec "{sys.executable}" -S "$@"')
        self.environment.update(PATH=f"{self.folder / 'bin'}:{os.environ['PATH']}", PYTHON="python-without-numpy")

    def write_tool(self, name, command):
        tool = self.folder / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{command}\n")
        tool.chmod(0o755)

    def quickstart(self, *arguments, status=0):
        result = subprocess.run(["bash", "scripts/quickstart.sh", *arguments], cwd=self.clone, env=self.environment,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout, result.stderr

    def assert_own_model_answers(self):
        samples = sorted(path.name for path in (MODELS / "samples").iterdir())
        out, err = self.quickstart()
        self.assertIn(f"using {self.clone}/models/figure-kinds.safetensors, which tells kinds of figures", err)
        self.assertIn("For ImageNet's 1000 classes: scripts/quickstart.sh --checkpoint FILE", err)
        records = [parse(line) for line in out.splitlines()]
        self.assertEqual([record["path"] for record in records], [f"models/samples/{name}" for name in samples])
        for record in records:
            self.assertEqual(record["top"][0]["label"].replace(" ", "_"), Path(record["path"]).stem)
        out, _ = self.quickstart("models/samples/table.jpg")
        self.assertEqual(parse(out)["top"][0]["label"], "table")
        return err

    def test_where_torchvision_cannot_be_reached(self):
        self.write_tool("timeout", "exit 1")  # is what its address is tried with
        self.assert_own_model_answers()
        self.assertTrue((self.clone / "build/sample.png").is_file())  # which the README's examples classify

    def test_where_there_is_no_numpy_to_convert_with(self):
        self.write_tool("timeout", "exit 0")
        self.assertIn("python-without-numpy has no module of", self.assert_own_model_answers())

    def test_weights_that_were_asked_for_are_not_replaced(self):
        out, err = self.quickstart("--weights", "IMAGENET1K_V1", status=1)
        self.assertEqual(out, "")
        self.assertIn("python-without-numpy has no module of", err)


if __name__ == "__main__":
    unittest.main()
