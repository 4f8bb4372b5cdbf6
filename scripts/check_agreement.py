#!/usr/bin/env python3
"""Holds the program against PyTorch on photos of one's own: classes, probabilities and logits, in every precision and on
every instruction set.

PyTorch runs torchvision's mobilenet_v2 from the checkpoint in float32 after torchvision's transforms and Pillow; the program
runs its model file. Both see only the image files. Exits with 1 where they disagree: float32 must give the same classes and
logits, a lower precision nearly all of the classes, and those of which PyTorch is sure.

With --decode-fast the program is held against itself instead: --decode fast against exact, on the photos enlarged to a camera's
size. Exits with 1 where the first class is the same for less than 99 %.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

from mnv2 import fast_decoding
from mnv2.interpreter import need

ROOT = Path(__file__).resolve().parent.parent
RESIZE = 256  # the short side that the model's preprocessing keeps
FAST_AGREEMENT = 0.99  # of the first classes, with --decode fast
LOGIT_TOLERANCE = 1e-4  # of the largest |logit|, the contract of the engine
SMALLEST_PROBABILITY = 1e-30  # below this a float32 has lost digits of the logit
ISAS = ("portable", "avx2", "avx512", "avx512-zen", "neon")
SUFFIXES = {".jpg", ".jpeg", ".png"}
PRECISIONS = ("float32", "bfloat16", "int8")
LEAST_AGREEMENT = {"float32": 1.0, "bfloat16": 0.99, "int8": 0.985}  # of the first classes
SURE = 0.1  # a lead in probability that no precision may turn round


@dataclass
class Agreement:
    """What differs between two sets of answers for the same photos."""

    photos: int = 0
    same_top1: int = 0
    turned: int = 0  # photos with another first class although PyTorch's had a lead of SURE
    probability: float = 0.0  # largest difference
    sum_of_probabilities: float = 0.0  # of each photo's largest difference
    logit: float = 0.0  # largest difference, as a fraction of the photo's largest |logit|
    signal: float = 0.0  # sums of squares of logits, without each photo's mean, which probabilities do not hold
    noise: float = 0.0  # and of their differences
    top1: int = 0  # photos whose true class is first
    top5: int = 0  # photos whose true class is among the first five

    def mean_probability(self) -> float:
        return self.sum_of_probabilities / self.photos

    def sqnr_db(self) -> float:
        """Signal to noise of the logits."""
        return math.inf if self.noise == 0 else 10 * math.log10(self.signal / self.noise)

    def good(self, precision: str) -> bool:
        if precision == "float32" and self.logit > LOGIT_TOLERANCE:
            return False
        return self.turned == 0 and self.same_top1 >= LEAST_AGREEMENT[precision] * self.photos


def parse_arguments(arguments: Optional[Sequence[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("images", nargs="+", type=Path, help="images, or folders of images")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "../shared/weights/mobilenet_v2.pth",
                        help="state_dict of torchvision's mobilenet_v2 (default: ../shared/weights/mobilenet_v2.pth)")
    parser.add_argument("--model", type=Path, default=ROOT / "models/mobilenet_v2.safetensors",
                        help="model file made from it (default: models/mobilenet_v2.safetensors)")
    parser.add_argument("--program", type=Path, default=ROOT / "build/mnv2-classify")
    parser.add_argument("--isa", action="append", help="instruction set; may be repeated (default: all that run here)")
    parser.add_argument("--precision", action="append", choices=PRECISIONS,
                        help="arithmetic of the network; may be repeated (default: all that the program has)")
    parser.add_argument("--truth", type=Path, help="CSV with columns file and class_index: counts right answers too")
    parser.add_argument("--decode-fast", action="store_true",
                        help="how often --decode fast gives the first class of exact, on photos enlarged to 12 megapixels")
    return parser.parse_args(arguments)


def list_images(paths: Sequence[Path]) -> list[Path]:
    """The images themselves, folders replaced by the images directly in them."""
    images: list[Path] = []
    for path in paths:
        images += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    return images


def torch_logits(checkpoint: Path, images: Sequence[Path]) -> list:
    """PyTorch's logits, a float64 array [classes] for each image."""
    import torch
    import torchvision
    from PIL import Image
    from torchvision import transforms

    from mnv2.convert.checkpoint import load_checkpoint

    state = {name: torch.from_numpy(values) for name, values in load_checkpoint(checkpoint).tensors.items()}
    network = torchvision.models.mobilenet_v2(num_classes=state["classifier.1.weight"].shape[0])
    network.load_state_dict(state)
    network.eval()
    transform = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    with torch.no_grad():
        return [network(transform(Image.open(image).convert("RGB"))[None])[0].double().numpy() for image in images]


def accepted(program: Path, flag: str, values: Sequence[str]) -> list[str]:
    """Those of `values` that the program takes here."""
    return [value for value in values
            if subprocess.run([program, flag, value, "--version"], capture_output=True).returncode == 0]


def program_records(options: argparse.Namespace, precision: str, isa: str, images: Sequence[Path]) -> list[dict]:
    command = [options.program, "--model", options.model, "--precision", precision, "--isa", isa, "--no-exif",
               "--top-k", "1000000", "--format", "jsonl", "--", *images]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in output.splitlines()]


def compare(records: Sequence[dict], logits: Sequence, truth: Sequence[Optional[int]]) -> Agreement:
    result = Agreement()
    for record, expected, true_class in zip(records, logits, truth):
        shifted = expected - expected.max()
        log_sum = math.log(sum(math.exp(x) for x in shifted))
        order = [p["index"] for p in record["top"]]
        first, second = sorted((math.exp(x - log_sum) for x in shifted), reverse=True)[:2]
        same = order[0] == int(expected.argmax())
        result.photos += 1
        result.same_top1 += same
        result.turned += not same and first - second >= SURE
        result.top1 += order[0] == true_class
        result.top5 += true_class in order[:5]
        largest, logs, wanted_logs = 0.0, [], []
        for prediction in record["top"]:
            found, wanted = prediction["probability"], shifted[prediction["index"]] - log_sum
            largest = max(largest, abs(found - math.exp(wanted)))
            if found > SMALLEST_PROBABILITY:
                logs.append(math.log(found))
                wanted_logs.append(wanted)
                result.logit = max(result.logit, abs(logs[-1] - wanted) / abs(expected).max())
        result.probability = max(result.probability, largest)
        result.sum_of_probabilities += largest
        mean, wanted_mean = sum(logs) / len(logs), sum(wanted_logs) / len(logs)
        result.signal += sum((x - wanted_mean) ** 2 for x in wanted_logs)
        result.noise += sum((a - mean - b + wanted_mean) ** 2 for a, b in zip(logs, wanted_logs))
    return result


def main(arguments: Optional[Sequence[str]] = None) -> int:
    options = parse_arguments(arguments)
    if arguments is None:
        need(*(("numpy", "PIL") if options.decode_fast else ("torch", "torchvision", "PIL")))
    images = list_images(options.images)
    if options.decode_fast:
        return 0 if fast_decoding.check(options.program, options.model, images, RESIZE, FAST_AGREEMENT) else 1
    truth: list[Optional[int]] = [None] * len(images)
    if options.truth:
        with open(options.truth, newline="") as file:
            classes = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
        truth = [classes.get(image.name) for image in images]
    logits = torch_logits(options.checkpoint, images)

    agreed = True
    columns = ["precision", "ISA", "photos", "same top-1", "largest difference of a probability", "mean of a photo's largest",
               "of a logit / largest logit", "SQNR of logits, dB", *(["top-1", "top-5"] if options.truth else [])]
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    isas = options.isa or accepted(options.program, "--isa", ISAS)
    for precision in options.precision or accepted(options.program, "--precision", PRECISIONS):
        for isa in isas:
            a = compare(program_records(options, precision, isa, images), logits, truth)
            right = [f"{100 * count / a.photos:.0f} %" for count in (a.top1, a.top5)] if options.truth else []
            print("| " + " | ".join([precision, isa, str(a.photos), str(a.same_top1), f"{a.probability:.1e}",
                                     f"{a.mean_probability():.1e}", f"{a.logit:.1e}", f"{a.sqnr_db():.1f}", *right]) + " |",
                  flush=True)
            agreed = agreed and a.good(precision)
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
