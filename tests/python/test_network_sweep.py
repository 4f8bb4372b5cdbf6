"""torchvision's MobileNetV2 at every usual width and input size: the engine's logits are PyTorch's on every ISA, and the
same bits for any number of threads."""

from __future__ import annotations

import itertools
import sys
import unittest

from support.converter import RUN_NETWORK, TOLERANCE, EngineCase, np, random_network, torch

WIDTHS = (0.1, 0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
SIZES = (96, 128, 160, 192, 224, 225, 299)  # pixels
THREADS = ((1, 2), (1, 3), (1, 5), (5, 3), (1, 2, 3, 5))  # in turn


@unittest.skipUnless(RUN_NETWORK, "MNV2_RUN_NETWORK does not name the engine's test tool")
class Sweep(EngineCase):
    def test_widths_sizes_isas_threads(self) -> None:
        turn = itertools.cycle(THREADS)
        worst = dict.fromkeys(self.isas(), 0.0)
        for width in WIDTHS:
            network = random_network(int(100 * width), width_mult=width, num_classes=101)
            self.convert(network.state_dict())
            for size in SIZES:
                # The engine runs images one by one: one is enough for it, two tell that the answer depends on the image.
                images = torch.randn(2, 3, size, size)
                with torch.no_grad():
                    expected = network(images).numpy()
                self.assertGreater(np.abs(expected[0] - expected[1]).max(), 1e-2 * np.abs(expected).max())
                for isa in worst:
                    with self.subTest(width=width, size=size, isa=isa):
                        logits = self.run_engine(images[:1], expected.shape[1], isa, next(turn))
                        difference = np.abs(logits - expected[:1]).max() / np.abs(expected[:1]).max()
                        self.assertLessEqual(difference, TOLERANCE)
                        worst[isa] = max(worst[isa], float(difference))
        print(f"largest difference of a logit / largest logit: {worst}", file=sys.stderr)


if __name__ == "__main__":
    if not RUN_NETWORK:
        print("SKIPPED: MNV2_RUN_NETWORK does not name the engine's test tool")
        sys.exit(77)
    unittest.main(verbosity=2)
