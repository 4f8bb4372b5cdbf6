"""scripts/mnv2/fast_decoding.py: what it counts, of a stand-in for the program, and what Pillow reduces.

Needs numpy and Pillow.
"""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

try:
    import numpy
    from PIL import Image
except ImportError:
    numpy = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from mnv2 import fast_decoding  # noqa: E402

# Class 1 for each photo, but 2 with --decode fast for the second one, and for those that Pillow has reduced below 250.
STAND_IN = """#!{python}
import json, sys
from PIL import Image
photos = sys.argv[sys.argv.index("--") + 1:]
for photo in photos:
    with Image.open(photo) as image:
        small = min(image.size) < 250
    fast = sys.argv[sys.argv.index("--decode") + 1] == "fast"
    print(json.dumps({{"top": [{{"index": 2 if small or fast and photo.endswith("/1.jpg") else 1}}]}}))
"""


class FastDecoding(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.photos = [self.folder / f"{i}.png" for i in range(4)]
        for i, photo in enumerate(self.photos):
            Image.fromarray(numpy.full((30, 40, 3), 50 * i, numpy.uint8)).save(photo)
        self.program = self.folder / "program"
        self.program.write_text(STAND_IN.format(python=sys.executable))
        self.program.chmod(0o755)

    def check(self, wanted):
        said = io.StringIO()
        self.addCleanup(setattr, fast_decoding, "SHORT_SIDE", fast_decoding.SHORT_SIDE)
        self.addCleanup(setattr, fast_decoding, "PORTION", fast_decoding.PORTION)
        fast_decoding.SHORT_SIDE, fast_decoding.PORTION = 800, 3
        with contextlib.redirect_stdout(said):
            reached = fast_decoding.check(self.program, self.folder / "none", self.photos, 100, wanted)
        return reached, said.getvalue()

    def test_counts(self):
        reached, said = self.check(0.75)
        self.assertTrue(reached)
        self.assertIn("fast: the same first class as exact for 3 of 4\n", said)
        # 800 pixels: an eighth is 100, a quarter 200, a half 400.
        for factor, count in ((1, 0), (2, 0), (3, 4), (4, 4)):
            self.assertIn(f"a factor of {factor}: the same first class as exact for {count} of 4\n", said)
        self.assertFalse(self.check(0.76)[0])

    def test_photos_are_enlarged(self):
        fast_decoding.enlarge(self.photos[1], self.folder / "large.jpg", 0)
        with Image.open(self.folder / "large.jpg") as image:
            self.assertEqual(image.size, (4000, 3000))
            deviation = numpy.asarray(image.convert("L").crop((0, 0, 200, 200))).std()
        self.assertTrue(2 < deviation < 5, deviation)


if __name__ == "__main__":
    if numpy is None:
        print("SKIPPED: no numpy or no Pillow")
        sys.exit(77)
    unittest.main()
