"""Networks with hidden fully connected layers: the engine's outputs are PyTorch's on every ISA, the same bits for any number
of threads. MNV2_MAKE_MODEL names the tool that writes the models, MNV2_RUN_NETWORK the engine's."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import unittest

from support.converter import EMULATOR, RUN_NETWORK, EngineCase, forward, parse_model_file, torch

MAKE_MODEL = os.environ.get("MNV2_MAKE_MODEL")
# Around one vector and one panel of any instruction set, as Teachable Machine has them, and large.
HIDDEN = ((100,), (1,), (3, 5), (15, 16, 17), (31, 33), (64, 127, 128, 129), (300, 257), (1024, 1000), (8,) * 5)
OUTPUTS = (3, 1, 2, 17, 129)
THREADS = ((1, 2), (1, 3), (1, 5), (5, 3), (1, 2, 3, 5, 7))


@unittest.skipUnless(RUN_NETWORK and MAKE_MODEL, "MNV2_RUN_NETWORK and MNV2_MAKE_MODEL do not name the test tools")
class Dense(EngineCase):
    def make(self, outputs: int, hidden: tuple[int, ...], *flags: str) -> None:
        activation = ["--output-activation", "none"] if outputs == 1 else []
        subprocess.run([*EMULATOR, MAKE_MODEL, str(self.output), "--classes", str(outputs), "--hidden", *map(str, hidden),
                        *activation, *flags], check=True)

    def check(self, outputs: int, images: torch.Tensor, threads: tuple[int, ...]) -> None:
        expected = forward(*parse_model_file(self.output), images)
        self.assertEqual(expected.shape, (2, outputs))
        for isa in self.isas():
            self.compare(self.run_engine(images, outputs, isa, threads), expected, isa)

    def test_every_shape(self) -> None:
        torch.manual_seed(1)
        threads = itertools.cycle(THREADS)
        for i, (outputs, hidden) in enumerate(itertools.product(OUTPUTS, HIDDEN)):
            with self.subTest(outputs=outputs, hidden=hidden):
                # Not every small random network depends on the picture: one of these seeds gives one that does.
                images = torch.randn(2, 3, 33, 40)
                for seed in range(50):
                    self.make(outputs, hidden, "--seed", str(100 * i + seed), *(["--v1", "0.25"] if i % 4 == 3 else []))
                    a, b = forward(*parse_model_file(self.output), images)
                    if abs(a - b).max() > 0.02 * max(abs(a).max(), abs(b).max()):
                        break
                self.check(outputs, images, next(threads))

    def test_the_head_of_a_whole_network(self) -> None:
        torch.manual_seed(2)
        self.make(3, (100,), "--full")
        self.check(3, torch.randn(2, 3, 96, 96), (1, 2, 3, 5))


if __name__ == "__main__":
    if not RUN_NETWORK:
        print("SKIPPED: MNV2_RUN_NETWORK does not name the engine's test tool")
        sys.exit(77)
    unittest.main(verbosity=2)
