"""The C header from another language: Python's ctypes on the shared library, against the program.

MNV2_SHARED_LIBRARY names the library; support/library.py says what else is needed.
"""

import ctypes
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_ssize_t, c_uint8, c_void_p

from support.library import CLASSES, TIMEOUT, make_model, make_pixels, program_answer, write_png

LIBRARY = os.environ["MNV2_SHARED_LIBRARY"]
(OK, INVALID_ARGUMENT, FILE_NOT_FOUND, FILE_UNREADABLE, INVALID_MODEL, UNSUPPORTED_ISA, TOO_LARGE,
 OUT_OF_MEMORY) = range(8)


class Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("message", ctypes.c_char * 508)]


class Options(ctypes.Structure):
    _fields_ = [("isa", c_char_p), ("resize", c_int), ("crop", c_int), ("resize_form", c_char_p),
                ("interpolation", c_char_p)]


class Image(ctypes.Structure):
    _fields_ = [("pixels", POINTER(c_uint8)), ("width", c_int), ("height", c_int), ("row_bytes", c_ssize_t),
                ("order", c_int)]


class Prediction(ctypes.Structure):
    _fields_ = [("index", c_int), ("probability", c_float)]


def load_library():
    library = ctypes.CDLL(LIBRARY)
    signatures = {
        "mnv2_version": (c_char_p, []),
        "mnv2_status_name": (c_char_p, [c_int]),
        "mnv2_model_load": (c_int, [c_char_p, POINTER(Options), POINTER(c_void_p), POINTER(Error)]),
        "mnv2_model_free": (None, [c_void_p]),
        "mnv2_model_num_classes": (c_int, [c_void_p]),
        "mnv2_model_label": (c_char_p, [c_void_p, c_int]),
        "mnv2_model_input_size": (c_int, [c_void_p]),
        "mnv2_model_embedding_size": (c_int, [c_void_p]),
        "mnv2_model_isa": (c_char_p, [c_void_p]),
        "mnv2_session_create": (c_int, [c_void_p, c_int, POINTER(c_void_p), POINTER(Error)]),
        "mnv2_session_free": (None, [c_void_p]),
        "mnv2_classify": (c_int, [c_void_p, POINTER(Image), c_int, POINTER(Prediction), POINTER(c_int),
                                  POINTER(Error)]),
        "mnv2_session_embedding": (POINTER(c_float), [c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


mnv2 = load_library()


def make_image(width, height, pixels, **fields):
    """The pixels are copied into the image, which keeps them."""
    image = Image(None, width, height, **fields)
    image.owned = (c_uint8 * len(pixels)).from_buffer_copy(pixels)
    image.pixels = ctypes.cast(image.owned, POINTER(c_uint8))
    return image


class Library(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = make_model(self.folder / "model.safetensors", "--labels")
        self.error = Error()
        self.model = self.load(self.path)

    def load(self, path, options=None):
        model = c_void_p()
        status = mnv2.mnv2_model_load(os.fsencode(path), options, byref(model), byref(self.error))
        self.assertEqual(status, OK, self.error.message)
        self.addCleanup(mnv2.mnv2_model_free, model)
        return model

    def session(self, model, threads=1):
        session = c_void_p()
        self.assertEqual(mnv2.mnv2_session_create(model, threads, byref(session), byref(self.error)), OK)
        self.addCleanup(mnv2.mnv2_session_free, session)
        return session

    def classify(self, session, image, k=5):
        """[(index, probability, label)]"""
        top, count, error = (Prediction * k)(), c_int(-1), Error()
        if mnv2.mnv2_classify(session, image, k, top, byref(count), byref(error)) != OK:
            raise AssertionError(error.message)
        return [(p.index, p.probability, mnv2.mnv2_model_label(self.model, p.index).decode())
                for p in top[:count.value]]

    def check_failed(self, found, expected, message):
        self.assertEqual((found, self.error.status), (expected, expected))
        self.assertIn(message, self.error.message.decode())


class Answers(Library):
    def test_the_answers_are_the_programs(self):
        session = self.session(self.model, threads=2)
        for width, height, seed in ((61, 47, 1), (40, 90, 2)):
            pixels = make_pixels(width, height, seed)
            write_png(self.folder / "image.png", width, height, pixels)
            expected = program_answer(self.path, self.folder / "image.png", 5)
            self.assertEqual(len(expected), 5)
            self.assertEqual(self.classify(session, make_image(width, height, pixels)), expected)
            bgr = bytes(pixels[i // 3 * 3 + 2 - i % 3] for i in range(len(pixels)))
            self.assertEqual(self.classify(session, make_image(width, height, bgr, order=1)), expected)
            padded = b"".join(pixels[i:i + 3 * width] + b"-----" for i in range(0, len(pixels), 3 * width))
            image = make_image(width, height, padded, row_bytes=3 * width + 5)
            self.assertEqual(self.classify(session, image), expected)

    def test_all_probabilities_add_up(self):
        top = self.classify(self.session(self.model), make_image(40, 40, make_pixels(40, 40, 1)), k=CLASSES + 5)
        self.assertEqual(sorted(index for index, _, _ in top), list(range(CLASSES)))
        self.assertAlmostEqual(sum(probability for _, probability, _ in top), 1.0, places=5)

    def test_what_a_model_tells(self):
        self.assertEqual(mnv2.mnv2_model_num_classes(self.model), CLASSES)
        self.assertEqual(mnv2.mnv2_model_input_size(self.model), 32)
        self.assertEqual(mnv2.mnv2_model_label(self.model, CLASSES - 1), b"class 9")
        self.assertIsNone(mnv2.mnv2_model_label(self.model, CLASSES))
        self.assertIn(mnv2.mnv2_model_isa(self.model), (b"portable", b"avx2", b"avx512", b"avx512-zen", b"neon"))
        self.assertRegex(mnv2.mnv2_version().decode(), r"^\d+\.\d+\.\d+$")
        options = Options(b"portable", 50, 45)
        other = self.load(self.path, byref(options))
        self.assertEqual((mnv2.mnv2_model_isa(other), mnv2.mnv2_model_input_size(other)), (b"portable", 45))

    def test_embedding(self):
        features = make_model(self.folder / "features.safetensors", "--features")
        model = self.load(features)
        size = mnv2.mnv2_model_embedding_size(model)
        self.assertGreater(size, 1)
        session = self.session(model)
        self.assertFalse(mnv2.mnv2_session_embedding(session))
        self.assertEqual(self.classify(session, make_image(40, 40, make_pixels(40, 40, 1)), k=0), [])
        self.assertGreater(len(set(mnv2.mnv2_session_embedding(session)[:size])), 1)

    def test_many_threads_share_a_model(self):
        """Python lets go of its lock while C runs."""
        images = [make_image(40 + i, 50, make_pixels(40 + i, 50, i)) for i in range(8)]
        one = self.session(self.model)
        expected = [self.classify(one, image) for image in images]
        self.assertGreater(len({answer[0][1] for answer in expected}), 1)
        found = [[] for _ in images]

        def work(i):
            session = c_void_p()
            if mnv2.mnv2_session_create(self.model, 1 + i % 2, byref(session), None) == OK:
                found[i] = [self.classify(session, images[i]) for _ in range(20)]
            mnv2.mnv2_session_free(session)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(images))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i, answers in enumerate(found):
            self.assertEqual(answers, [expected[i]] * 20)


class Faults(Library):
    def fails_to_load(self, path, status, message, options=None):
        model = c_void_p(1)
        self.check_failed(mnv2.mnv2_model_load(path, options, byref(model), byref(self.error)), status, message)
        self.assertIsNone(model.value)
        self.assertEqual(mnv2.mnv2_model_load(path, options, byref(model), None), status)

    def test_models(self):
        self.fails_to_load(None, INVALID_ARGUMENT, "path: NULL")
        self.fails_to_load(b"/nonexistent", FILE_NOT_FOUND, "/nonexistent: No such file or directory")
        self.fails_to_load(os.fsencode(self.folder), FILE_UNREADABLE, "a directory, expected a regular file")
        good = self.path.read_bytes()
        for name, data in (("text", b"no model at all"), ("short", good[:-1]), ("header", good[:40])):
            (self.folder / name).write_bytes(data)
            self.fails_to_load(os.fsencode(self.folder / name), INVALID_MODEL, name)
        path = os.fsencode(self.path)
        self.fails_to_load(path, UNSUPPORTED_ISA, "'sse9'", byref(Options(b"sse9", 0, 0)))
        self.fails_to_load(path, INVALID_ARGUMENT, "resize is -3", byref(Options(None, -3, 0)))
        self.fails_to_load(path, INVALID_ARGUMENT, "crop is 2147483647", byref(Options(None, 0, 2**31 - 1)))
        self.check_failed(mnv2.mnv2_model_load(path, None, None, byref(self.error)), INVALID_ARGUMENT, "model: NULL")
        self.assertEqual(mnv2.mnv2_status_name(INVALID_MODEL), b"invalid_model")

    def test_sessions(self):
        session = c_void_p(1)
        for threads in (-1, 0, 1025, -2**31):
            self.check_failed(mnv2.mnv2_session_create(self.model, threads, byref(session), byref(self.error)),
                              INVALID_ARGUMENT, f"threads: {threads}, expected 1 to 1024")
            self.assertIsNone(session.value)
        self.check_failed(mnv2.mnv2_session_create(None, 1, byref(session), byref(self.error)), INVALID_ARGUMENT,
                          "model: NULL")
        self.check_failed(mnv2.mnv2_session_create(self.model, 1, None, byref(self.error)), INVALID_ARGUMENT,
                          "session: NULL")

    def test_images(self):
        session = self.session(self.model)
        pixels = make_pixels(20, 10, 1)
        good = make_image(20, 10, pixels)
        top, count = (Prediction * 3)(), c_int()

        def fails(status, message, session, image, k=3, top=top):
            count.value = 9
            found = mnv2.mnv2_classify(session, image, k, top, byref(count), byref(self.error))
            self.check_failed(found, status, message)
            self.assertEqual(count.value, 0)

        fails(INVALID_ARGUMENT, "session: NULL", None, good)
        fails(INVALID_ARGUMENT, "image: NULL", session, None)
        fails(INVALID_ARGUMENT, "image pixels: NULL", session, Image(None, 20, 10, 0, 0))
        fails(INVALID_ARGUMENT, "predictions: NULL", session, good, top=None)
        fails(INVALID_ARGUMENT, "top_k: -1", session, good, k=-1)
        for width, height in ((0, 10), (20, 0), (-20, 10), (20, -2**31)):
            fails(INVALID_ARGUMENT, f"image: empty, {width} x {height}", session, make_image(width, height, pixels))
        for row_bytes in (1, 59, -60):
            fails(INVALID_ARGUMENT, f"image: rows of {row_bytes} bytes, expected at least 60", session,
                  make_image(20, 10, pixels, row_bytes=row_bytes))
        fails(INVALID_ARGUMENT, "image order: 7", session, make_image(20, 10, pixels, order=7))
        fails(TOO_LARGE, "image: 2147483647 x 1", session, make_image(2**31 - 1, 1, pixels))
        self.assertEqual(len(self.classify(session, good)), 5)  # the session is as good as before

    def test_no_memory_and_no_threads(self):
        """In a process of its own, whose address space is limited."""
        code = """if True:
            import resource
            from test_ctypes import *
            model, session, error = c_void_p(), c_void_p(), Error()
            large = Options(None, 0, 4096)
            def limited(call, extra):
                pages = int(open("/proc/self/statm").read().split()[0])
                resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, resource.RLIM_INFINITY))
                status = call()
                resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
                return status, error.message.decode(), bool(session)
            path = os.fsencode(sys.argv[1])
            assert mnv2.mnv2_model_load(path, byref(large), byref(model), byref(error)) == OK, error.message
            create = lambda threads: lambda: mnv2.mnv2_session_create(model, threads, byref(session), byref(error))
            print(limited(create(1), 1 << 26))
            mnv2.mnv2_model_free(model)
            assert mnv2.mnv2_model_load(path, None, byref(model), byref(error)) == OK, error.message
            print(limited(create(1024), 1 << 27))
            assert mnv2.mnv2_session_create(model, 2, byref(session), byref(error)) == OK, error.message
        """
        done = subprocess.run([sys.executable, "-c", code, str(self.path)], capture_output=True, text=True,
                              timeout=TIMEOUT, cwd=os.path.dirname(os.path.abspath(__file__)))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        memory, threads = map(eval, done.stdout.splitlines())
        self.assertEqual(memory, (OUT_OF_MEMORY, "not enough memory", False))
        self.assertEqual((threads[0], threads[2]), (OUT_OF_MEMORY, False))
        self.assertNotEqual(threads[1], "")


if __name__ == "__main__":
    unittest.main()
