"""scripts/check_agreement.py: its numbers against those worked out here, of answers that a stand-in for the program spoils.

Needs what support/cli.py needs, PyTorch, torchvision and Pillow.
"""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from support.cli import PROGRAM, Case
from support.converter import ROOT, np, torch
from torchvision.models import mobilenet_v2

sys.path.insert(0, str(ROOT / "scripts"))
import check_agreement  # noqa: E402

# Takes --precision NAME away, runs the program, and spoils what it says: bfloat16 scales all logits by 1.01, int8 swaps
# the first two classes of the first photo.
STAND_IN = """#!{python}
import json, math, subprocess, sys
arguments = sys.argv[1:]
at = arguments.index("--precision") if "--precision" in arguments else None
precision = arguments.pop(at + 1) if at is not None else "float32"
if at is not None:
    arguments.pop(at)
if precision not in {precisions}:
    sys.exit(2)
run = subprocess.run([{program!r}, *arguments], stdout=subprocess.PIPE)
if "--version" in arguments:
    sys.exit(run.returncode)
for number, line in enumerate(run.stdout.splitlines()):
    record = json.loads(line)
    top = record["top"]
    if precision == "bfloat16":
        powers = [math.exp(1.01 * math.log(p["probability"])) for p in top]
        for p, power in zip(top, powers):
            p["probability"] = power / sum(powers)
    if precision == "int8" and number == 0:
        top[0]["index"], top[1]["index"] = top[1]["index"], top[0]["index"]
    print(json.dumps(record))
sys.exit(run.returncode)
"""


class Agreement(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = Path(cls.shared_folder.name)
        torch.manual_seed(4)
        network = mobilenet_v2(num_classes=6)
        with torch.no_grad():  # answers that differ from image to image, and are sure of themselves
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = None
            network.train()(torch.randn(4, 3, 96, 96))
            network.classifier[1].weight.normal_(0, 0.5)
        cls.checkpoint, cls.converted = folder / "six.pth", folder / "six.safetensors"
        torch.save(network.state_dict(), cls.checkpoint)
        subprocess.run([sys.executable, ROOT / "scripts/convert_torchvision.py", "--checkpoint", cls.checkpoint, "--output",
                        cls.converted], check=True, capture_output=True)

    def setUp(self):
        super().setUp()
        self.images = [self.make(f"photos/{i}.png", seed=31 * i) for i in range(3)]
        truth = ["file,class_index"] + [f"{i}.png,{i}" for i in range(3)]
        (self.folder / "truth.csv").write_text("\n".join(truth) + "\n")

    def run_script(self, *arguments, precisions=("float32", "bfloat16", "int8"), status=0):
        program = self.folder / "program"
        program.write_text(STAND_IN.format(python=sys.executable, program=PROGRAM, precisions=precisions))
        program.chmod(0o755)
        run = subprocess.run([sys.executable, ROOT / "scripts/check_agreement.py", self.folder / "photos", "--checkpoint",
                              self.checkpoint, "--model", self.converted, "--program", program, "--isa", "portable", *arguments],
                             capture_output=True, text=True, env={**os.environ, **self.environment})
        self.assertEqual(run.returncode, status, run.stdout + run.stderr)
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in run.stdout.splitlines()]
        self.assertTrue(all(set(cell) == {"-"} for cell in rows[1]))
        return [dict(zip(rows[0], row)) for row in rows[2:]]

    def test_table(self):
        rows = self.run_script("--truth", str(self.folder / "truth.csv"), status=1)  # int8: 2 of 3 are too few
        self.assertEqual([(row["precision"], row["ISA"], row["photos"], row["same top-1"]) for row in rows],
                         [("float32", "portable", "3", "3"), ("bfloat16", "portable", "3", "3"), ("int8", "portable", "3", "2")])
        out, _ = self.run_program("-m", str(self.converted), "-k", "6", "--no-exif", "-f", "jsonl", *self.images)
        p = np.zeros((3, 6))
        for row, line in zip(p, out.splitlines()):
            for prediction in json.loads(line)["top"]:
                row[prediction["index"]] = prediction["probability"]
        spoiled = p ** 1.01 / (p ** 1.01).sum(1, keepdims=True)
        largest = np.abs(spoiled - p).max(1)
        self.assertAlmostEqual(float(rows[1]["largest difference of a probability"]), largest.max(), delta=0.06 * largest.max())
        self.assertAlmostEqual(float(rows[1]["mean of a photo's largest"]), largest.mean(), delta=0.06 * largest.mean())
        self.assertAlmostEqual(float(rows[1]["SQNR of logits, dB"]), 40, delta=0.3)
        self.assertLess(float(rows[0]["largest difference of a probability"]), 2e-5)
        self.assertGreater(float(rows[0]["SQNR of logits, dB"]), 90)
        swapped = np.sort(p[0])[-1] - np.sort(p[0])[-2]
        self.assertAlmostEqual(float(rows[2]["largest difference of a probability"]), swapped, delta=0.06 * swapped)
        for row, guesses in zip(rows, (p, p)):
            right = 100 * np.mean(guesses.argmax(1) == np.arange(3))
            self.assertEqual(row["top-1"], f"{right:.0f} %")

    def test_precisions_of_the_program_or_those_asked_for(self):
        rows = self.run_script(precisions=("float32", "bfloat16"))
        self.assertEqual([row["precision"] for row in rows], ["float32", "bfloat16"])
        self.assertNotIn("top-1", rows[0])
        self.assertEqual([row["precision"] for row in self.run_script("--precision", "bfloat16")], ["bfloat16"])

    def test_what_is_good_enough(self):
        def agreement(**counts):
            return check_agreement.Agreement(**{"photos": 1000, "same_top1": 1000, **counts})

        for precision, counts, good in (
                ("float32", {}, True), ("float32", {"same_top1": 999}, False), ("float32", {"logit": 1e-3}, False),
                ("bfloat16", {"same_top1": 990, "logit": 0.1}, True), ("bfloat16", {"same_top1": 989}, False),
                ("int8", {"same_top1": 985}, True), ("int8", {"same_top1": 984}, False),
                ("bfloat16", {"same_top1": 999, "turned": 1}, False), ("int8", {"same_top1": 999, "turned": 1}, False)):
            self.assertEqual(agreement(**counts).good(precision), good, (precision, counts))

    def test_an_answer_of_which_pytorch_is_sure(self):
        logits = [np.log(np.array(p)) for p in ([0.6, 0.4, 1e-6], [0.52, 0.48, 1e-6])]
        for expected, turned in zip(logits, (1, 0)):
            top = [{"index": i, "probability": p} for i, p in ((1, 0.5), (0, 0.49), (2, 0.01))]
            found = check_agreement.compare([{"top": top}], [expected], [None])
            self.assertEqual((found.same_top1, found.turned), (0, turned))


if __name__ == "__main__":
    unittest.main(verbosity=2)
