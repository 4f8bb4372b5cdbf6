"""The installed library: what is in it, its headers, and projects of others that use it from where it was moved to.

MNV2_BUILD is the build to install, MNV2_CXX its compiler; support/library.py says what else is needed. C is compiled
with $CC or cc.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

from support.library import float32, make_model, make_pixels, program_answer, run, write_png, write_ppm
from support.readme import LIBRARY_README, code_block

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ["MNV2_BUILD"]
CXX = os.environ["MNV2_CXX"]
CC = os.environ.get("CC", "cc")
EXAMPLES = ROOT / "tests/examples"
CLEAN = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
VERSION = re.search(r"project\(\S+ VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
MAJOR, MINOR, PATCH = map(int, VERSION.split("."))
STANDARD_HEADERS = r"[a-z_]+|std(def|int)\.h"
FIND = """project(find LANGUAGES CXX)
find_package(mnv2 REQUIRED ${ASKED})
get_target_property(type mnv2::mnv2 TYPE)
foreach(component static shared gpu)
  if(mnv2_${component}_FOUND)
    list(APPEND found ${component})
  endif()
endforeach()
message(STATUS "[${type}: ${found}]")
"""


installed = None  # the folder of everything here, with the library moved to "moved/else where"


def setUpModule():
    global installed
    folder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(folder.cleanup)
    installed = pathlib.Path(folder.name)
    run("cmake", "--install", BUILD, "--component", "development", "--prefix", installed / "first")
    (installed / "moved").mkdir()
    (installed / "first").rename(installed / "moved/else where")


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prefix = installed / "moved/else where"
        cls.lib = next(cls.prefix.rglob("libmnv2.a")).parent
        cls.folder = installed / cls.__name__
        cls.folder.mkdir()
        cls.model = make_model(cls.folder / "model.safetensors", "--labels")
        cls.image = cls.folder / "image.ppm"
        pixels = make_pixels(61, 47, 3)
        write_ppm(cls.image, 61, 47, pixels)
        write_png(cls.folder / "image.png", 61, 47, pixels)
        cls.expected = program_answer(cls.model, cls.folder / "image.png", 5)

    def check_answer(self, program, **environment):
        lines = run(program, self.model, self.image, env={**os.environ, **environment}).splitlines()
        fields = [line.split("\t") for line in lines]
        self.assertEqual([(int(index), float32(float(probability)), label) for index, probability, label in fields],
                         self.expected)

    def needs_shared(self, program):
        """Whether it loads the shared library."""
        return "libmnv2.so" in run("readelf", "-d", program)


class Contents(Installed):
    def test_files(self):
        lib = self.lib.relative_to(self.prefix)
        expected = {f"include/mnv2/{path.name}" for path in (ROOT / "include/mnv2").glob("*.h")}
        self.assertGreater(len(expected), 8)
        expected |= {"include/mnv2/version.h", f"{lib}/pkgconfig/mnv2.pc", f"{lib}/libmnv2.a", f"{lib}/libmnv2.so",
                     f"{lib}/libmnv2.so.{VERSION}", f"{lib}/libmnv2.so.{MAJOR}.{MINOR}"}
        found = {str(path.relative_to(self.prefix)) for path in self.prefix.rglob("*") if not path.is_dir()}
        package = {name for name in found if name.startswith(f"{lib}/cmake/mnv2/mnv2-")}
        self.assertEqual(found - package, expected)

    def test_no_path_of_this_build_and_no_other_library(self):
        """Neither of the sources or the build, nor a need for what only the engine's own code includes."""
        for path in [*self.prefix.rglob("*.cmake"), *self.prefix.rglob("*.pc"), *self.prefix.rglob("*.h")]:
            text = path.read_text()
            for word in (str(ROOT), BUILD, str(installed), "nlohmann", "mnv2_options"):
                self.assertNotIn(word, text, path)

    def test_soname(self):
        dynamic = run("readelf", "-d", self.lib / "libmnv2.so")
        self.assertIn(f"[libmnv2.so.{MAJOR}.{MINOR}]", dynamic)
        self.assertFalse("RUNPATH" in dynamic or "RPATH" in dynamic)


class Headers(Installed):
    def compile(self, compiler, standard, suffix, text):
        source = self.folder / f"one{suffix}"
        source.write_text(text)
        run(*shlex.split(compiler), f"-std={standard}", *CLEAN, "-fsyntax-only", f"-I{self.prefix / 'include'}", source)

    def test_each_compiles_alone_and_twice(self):
        headers = sorted((self.prefix / "include/mnv2").iterdir())
        for header in headers:
            self.compile(CXX, "c++20", ".cpp", f'#include "mnv2/{header.name}"\n' * 2)
        for name in ("mnv2.h", "version.h", "export.h"):
            for standard in ("c99", "c11"):
                self.compile(CC, standard, ".c", f'#include "mnv2/{name}"\n' * 2 + "int unit_is_not_empty;\n")
        with self.assertRaises(AssertionError):
            self.compile(CC, "c99", ".c", '#include "mnv2/model.h"\n')

    def test_they_include_standard_headers_and_each_other_only(self):
        for header in (self.prefix / "include/mnv2").iterdir():
            for name in re.findall(r"#include <(.*)>", header.read_text()):
                self.assertRegex(name, rf"^({STANDARD_HEADERS})$", header)
            for name in re.findall(r'#include "(.*)"', header.read_text()):
                self.assertTrue((self.prefix / "include" / name).is_file(), name)

    def test_version(self):
        text = (f"#if MNV2_VERSION_MAJOR != {MAJOR} || MNV2_VERSION_MINOR != {MINOR} || MNV2_VERSION_PATCH != {PATCH}\n"
                "#error another version\n#endif\n")
        self.compile(CC, "c99", ".c", f'#include "mnv2/version.h"\n{text}const char* const v = MNV2_VERSION_STRING;\n')


class CMakePackage(Installed):
    def configure(self, source, name, *options, status=0):
        build = self.folder / name
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        return build, run("cmake", "-S", source, "-B", build, *generator, f"-DCMAKE_PREFIX_PATH={self.prefix}",
                          f"-DCMAKE_CXX_COMPILER={CXX}", f"-DCMAKE_C_COMPILER={CC}", "-DCMAKE_BUILD_TYPE=Release",
                          "-DCMAKE_CXX_FLAGS=" + " ".join(CLEAN), *options, status=status)

    def project(self, name, text):
        source = self.folder / name
        source.mkdir()
        (source / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.16)\n" + text)
        return source

    def test_examples(self):
        for shared in ("OFF", "ON"):
            build, _ = self.configure(EXAMPLES, f"examples-{shared}", f"-DBUILD_SHARED_LIBS={shared}")
            run("cmake", "--build", build)
            for name in ("classify", "classify_c"):
                self.assertEqual(self.needs_shared(build / name), shared == "ON")
                self.check_answer(build / name)

    def test_a_project_of_c_alone(self):
        source = self.project("c", "project(c LANGUAGES C)\nfind_package(mnv2 REQUIRED COMPONENTS shared)\n"
                              f"add_executable(c {EXAMPLES / 'classify.c'})\ntarget_link_libraries(c mnv2::mnv2)\n")
        build, _ = self.configure(source, "c-build")
        run("cmake", "--build", build)
        self.check_answer(build / "c")

    def test_versions_and_components(self):
        asked = {"": True, f"{MAJOR}.{MINOR}": True, VERSION: True, f"{MAJOR}.{MINOR}.{PATCH + 1}": False,
                 f"{MAJOR}.{MINOR + 1}": False, f"{MAJOR + 1}.0": False, "REQUIRED COMPONENTS static": True,
                 "COMPONENTS shared": False,  # mnv2::mnv2 is the static one by now
                 "COMPONENTS static": True, "COMPONENTS gpu": False, "COMPONENTS static shared": False,
                 "OPTIONAL_COMPONENTS gpu": True, "OPTIONAL_COMPONENTS shared": True,
                 "COMPONENTS gpu OPTIONAL_COMPONENTS static": False}
        if MAJOR == 0 and MINOR > 0:
            asked[f"0.{MINOR - 1}"] = False  # before 1.0 a minor version may break what was
        calls = "".join(f'find_package(mnv2 {what} QUIET)\nmessage(STATUS "[{what}]=${{mnv2_FOUND}}")\n'
                        for what in asked)
        source = self.project("versions", f"project(versions LANGUAGES CXX)\n{calls}")
        found = dict(re.findall(r"\[(.*)\]=(\w+)", self.configure(source, "versions-build")[1]))
        self.assertEqual({what: answer in ("1", "TRUE") for what, answer in found.items()}, asked)

    def test_one_kind_alone(self):
        """Where only one is installed, it serves, unless the other is asked for by name."""
        prefix = self.folder / "static"
        shutil.copytree(self.prefix, prefix, symlinks=True, ignore=shutil.ignore_patterns("*.so*", "*shared*"))
        options = [f"-DCMAKE_PREFIX_PATH={prefix}", "-DBUILD_SHARED_LIBS=ON"]
        source = self.project("one", FIND)
        self.assertIn("[STATIC_LIBRARY: static]", self.configure(source, "one-build", *options)[1])
        with self.assertRaisesRegex(AssertionError, "of mnv2, shared is not installed"):
            self.configure(source, "one-build", *options, "-DASKED=COMPONENTS;shared")
        said = self.configure(source, "one-build", *options, "-DASKED=OPTIONAL_COMPONENTS;shared;gpu")[1]
        self.assertIn("[STATIC_LIBRARY: static]", said)

    def test_optional_components(self):
        """They choose before BUILD_SHARED_LIBS does, the first of them before the second; a required one before all."""
        source = self.project("optional", FIND)
        for shared, asked, kind in (("OFF", "shared", "shared"), ("ON", "static", "static"), ("OFF", "gpu", "static"),
                                    ("ON", "gpu", "shared"), ("OFF", "shared;static", "shared"),
                                    ("OFF", "static;COMPONENTS;shared", "shared")):
            said = self.configure(source, "optional-build", f"-DBUILD_SHARED_LIBS={shared}",
                                  f"-DASKED=OPTIONAL_COMPONENTS;{asked}")[1]
            self.assertIn(f"[{kind.upper()}_LIBRARY: {kind}]", said, asked)

    def test_the_engine_is_built_from_its_sources_alone(self):
        """Without the program nothing but nlohmann/json's header is looked for."""
        without = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON"
                   for name in ("OpenCV", "CLI11", "spdlog", "fmt", "JPEG", "PNG", "Catch2")]
        inside = self.project("inside", f"project(inside LANGUAGES C CXX)\nadd_subdirectory({ROOT} mnv2)\n"
                              f"add_executable(inside {EXAMPLES / 'classify.c'})\n"
                              "target_link_libraries(inside mnv2::mnv2)\n")
        for name, source, options in (("alone", ROOT, ["-DMNV2_BUILD_APP=OFF", "-DMNV2_BUILD_TESTS=OFF"]),
                                      ("inside", inside, [])):
            build, _ = self.configure(source, f"{name}-build", *options, *without)
            targets = run("cmake", "--build", build, "--target", "help")
            self.assertRegex(targets, r"\bmnv2_shared\b")
            self.assertNotIn("mnv2-classify", targets)


@unittest.skipUnless(shutil.which("pkg-config"), "no pkg-config here")
class PkgConfig(Installed):
    def flags(self, lib, *options):
        out = run("pkg-config", *options, "mnv2", env={**os.environ, "PKG_CONFIG_PATH": str(lib / "pkgconfig")})
        return shlex.split(out)

    def compile(self, program, *flags):
        run(CC, "-std=c99", *CLEAN, EXAMPLES / "classify.c", "-o", program, *flags)

    def test_c_with_the_shared_library(self):
        self.assertEqual(self.flags(self.lib, "--modversion"), [VERSION])
        self.compile(self.folder / "shared_c", *self.flags(self.lib, "--cflags", "--libs"))
        self.assertTrue(self.needs_shared(self.folder / "shared_c"))
        self.check_answer(self.folder / "shared_c", LD_LIBRARY_PATH=str(self.lib))

    def test_c_with_the_static_library(self):
        prefix = self.folder / "static pc"
        shutil.copytree(self.prefix, prefix, symlinks=True, ignore=shutil.ignore_patterns("*.so*"))
        lib = prefix / self.lib.relative_to(self.prefix)
        self.compile(self.folder / "static_c", *self.flags(lib, "--static", "--cflags", "--libs"))
        self.assertFalse(self.needs_shared(self.folder / "static_c"))
        self.check_answer(self.folder / "static_c")


class Examples(Installed):
    def test_the_readme_shows_them(self):
        """Each block of code in the README is lines of the example, as they are there."""
        for name, word in (("classify.cpp", "mnv2::Model::load"), ("classify.c", "mnv2_model_load")):
            block = code_block(LIBRARY_README, word)
            lines = [line.strip() for line in (EXAMPLES / name).read_text().splitlines()]
            shown = [line.strip() for line in block.splitlines()]
            self.assertGreater(len(shown), 5)
            found = any(lines[i:i + len(shown)] == shown for i in range(len(lines)))
            self.assertTrue(found, f"not in {name}:\n{block}")

    @unittest.skipUnless(shutil.which("pkg-config") and shutil.which("g++"), "no pkg-config or g++ here")
    def test_the_readme_builds_them(self):
        """Its commands, in its order, in a home of one's own."""
        if self.lib != self.prefix / "lib":
            self.skipTest(f"the README has lib, this system {self.lib.relative_to(self.prefix)}")
        home = self.folder / "home"
        home.mkdir()
        (home / "build").symlink_to(BUILD)
        (home / "tests").symlink_to(ROOT / "tests")
        words = ("cmake --install", "cmake -S tests/examples", "export PKG_CONFIG_PATH", "$(pkg-config --cflags mnv2)")
        commands = "".join(code_block(LIBRARY_README, word) for word in words)
        commands = re.sub(r"^cmake --build build .*\n", "", commands)  # it is built
        run("bash", "-ec", commands, cwd=home, env={**os.environ, "HOME": str(home)})
        for name in ("classify", "classify_c", "shared", "static", "static_c"):
            program = home / "build-examples" / name
            self.assertEqual(self.needs_shared(program), name == "shared")
            self.check_answer(program)

    def test_what_they_say_of_faults(self):
        build = self.folder / "faults"
        run(CXX, "-std=c++20", f"-I{self.prefix / 'include'}", EXAMPLES / "classify.cpp", "-o", build,
            self.lib / "libmnv2.so")
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.lib)}
        for arguments, message in (([self.folder / "none", self.image], "classify: file_not_found: "),
                                   ([self.model, self.model], "not a PPM file of 8 bits")):
            done = subprocess.run([build, *arguments], env=environment, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(message, done.stderr)


if __name__ == "__main__":
    unittest.main()
