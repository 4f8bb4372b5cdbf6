#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "app/inputs/named_source.h"
#include "app/inputs/walker.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace mnv2::app;
using mnv2::test::TempDir;
using mnv2::test::write_file;
namespace fs = std::filesystem;

namespace {

struct Walk {
  std::vector<std::string> paths;  // relative to the folder given
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
};

Walk walk(const std::vector<std::string>& arguments, const fs::path& base, const WalkRules& rules = {}) {
  Walk result;
  InputWalker walker(std::make_unique<NamedSource>(NamedInputs{.paths = arguments}), rules,
                     [&](const std::string& message) { result.warnings.push_back(message); });
  while (const std::optional<Input> input = walker.next()) {
    REQUIRE(result.paths.size() < 1000);  // a loop would never end
    std::string path = input->path;
    const std::string prefix = base.string() + "/";
    if (path.rfind(prefix, 0) == 0) path.erase(0, prefix.size());
    if (input->error) result.errors.push_back(path);
    result.paths.push_back(path);
  }
  return result;
}

void touch(const fs::path& path) {
  fs::create_directories(path.parent_path());
  write_file(path, "x");
}

}  // namespace

TEST_CASE("folders give their images in the bytewise order of full paths") {
  const TempDir temp;
  for (const char* name :
       {"b.jpg", "a/x.png", "a-b.jpg", "a0.jpg", "a/b/deep.jpeg", "a.jpg", "B.JPG", "\xC3\xA4.png"})
    touch(temp / "d" / name);
  Walk found = walk({(temp / "d").string()}, temp / "d");
  CHECK(found.paths == std::vector<std::string>{"B.JPG", "a-b.jpg", "a.jpg", "a/b/deep.jpeg", "a/x.png",
                                                "a0.jpg", "b.jpg", "\xC3\xA4.png"});
  CHECK(std::is_sorted(found.paths.begin(), found.paths.end()));
  CHECK(found.errors.empty());
  CHECK(found.warnings.empty());
}

TEST_CASE("in folders extensions decide and hidden names do not count") {
  const TempDir temp;
  for (const char* name : {"a.jpg", "b.JPEG", "c.jpe", "d.JfIf", "e.Png", "f.gif", "g", "jpg", "h.jpg.txt",
                           ".i.jpg", ".hidden/j.jpg", "k.jpg.d/l.png"})
    touch(temp / name);
  CHECK(walk({temp.path().string()}, temp.path()).paths ==
        std::vector<std::string>{"a.jpg", "b.JPEG", "c.jpe", "d.JfIf", "e.Png", "k.jpg.d/l.png"});
}

TEST_CASE("arguments keep their order and their spelling, and a named file is tried whatever its name") {
  const TempDir temp;
  touch(temp / "z.txt");
  touch(temp / "d/.hidden");
  touch(temp / "d/a.jpg");
  const std::string base = temp.path().string();
  CHECK(walk({base + "/z.txt", base + "/missing", base + "/d/", base + "//d", base + "/d/.hidden", ""},
             "/nowhere")
            .paths == std::vector<std::string>{base + "/z.txt", base + "/missing", base + "/d/a.jpg",
                                               base + "//d/a.jpg", base + "/d/.hidden", ""});
}

TEST_CASE("links are followed, loops are not") {
  const TempDir temp;
  touch(temp / "d/sub/a.jpg");
  touch(temp / "elsewhere/b.jpg");
  fs::create_directory_symlink("..", temp / "d/sub/up");
  fs::create_directory_symlink(".", temp / "d/self");
  fs::create_directory_symlink(temp / "elsewhere", temp / "d/other");
  fs::create_symlink(temp / "elsewhere/b.jpg", temp / "d/link.jpg");
  fs::create_symlink("nothing", temp / "d/broken.jpg");
  fs::create_symlink("nothing", temp / "d/broken");
  const Walk found = walk({(temp / "d").string()}, temp / "d");
  CHECK(found.paths == std::vector<std::string>{"broken.jpg", "link.jpg", "other/b.jpg", "sub/a.jpg"});
  CHECK(found.errors.empty());
}

TEST_CASE("loops are found wherever they lead to, not only to the folder that is named") {
  const TempDir temp;
  const fs::path d = temp / "d";
  touch(d / "a/b/c/one.jpg");
  fs::create_directory_symlink("../..", d / "a/b/c/up");  // to a, which is not the root
  fs::create_directory_symlink(".", d / "a/b/c/here");    // to c itself
  touch(d / "x/two.jpg");
  touch(d / "y/three.jpg");
  fs::create_directory_symlink("../y", d / "x/to_y");  // each leads to the other
  fs::create_directory_symlink("../x", d / "y/to_x");
  const Walk found = walk({d.string()}, d);
  CHECK(found.paths == std::vector<std::string>{"a/b/c/one.jpg", "x/to_y/three.jpg", "x/two.jpg",
                                                "y/three.jpg", "y/to_x/two.jpg"});
  CHECK(found.errors.empty());
  // The same where the folder that is named is itself reached through a link.
  fs::create_directory_symlink(d / "a", temp / "link");
  CHECK(walk({(temp / "link").string()}, temp.path()).paths == std::vector<std::string>{"link/b/c/one.jpg"});
}

TEST_CASE("a folder that cannot be read is one failed input, in its place") {
  const TempDir temp;
  touch(temp / "d/a.jpg");
  touch(temp / "d/b/x.jpg");
  touch(temp / "d/c.jpg");
  fs::permissions(temp / "d/b", fs::perms::none);
  if (access((temp / "d/b").c_str(), R_OK) == 0) {
    WARN("SKIPPED: this user may read everything");
    return;
  }
  const Walk found = walk({(temp / "d").string()}, temp / "d");
  fs::permissions(temp / "d/b", fs::perms::owner_all);
  CHECK(found.paths == std::vector<std::string>{"a.jpg", "b", "c.jpg"});
  CHECK(found.errors == std::vector<std::string>{"b"});
}

TEST_CASE("the depth is counted from the folder that is named") {
  const TempDir temp;
  for (const char* name : {"d/a.jpg", "d/1/b.jpg", "d/1/2/c.jpg", "e.jpg"}) touch(temp / name);
  const std::vector<std::string> named{(temp / "d").string(), (temp / "e.jpg").string()};
  const auto found = [&](int depth) { return walk(named, temp.path(), {.max_depth = depth}).paths; };
  CHECK(found(3) == std::vector<std::string>{"d/1/2/c.jpg", "d/1/b.jpg", "d/a.jpg", "e.jpg"});
  CHECK(found(2) == std::vector<std::string>{"d/1/b.jpg", "d/a.jpg", "e.jpg"});
  CHECK(found(1) == std::vector<std::string>{"d/a.jpg", "e.jpg"});
  CHECK(found(0) == std::vector<std::string>{"e.jpg"});
  const std::vector<std::string> warnings = walk(named, temp.path(), {.max_depth = 0}).warnings;
  CHECK(warnings == std::vector<std::string>{named[0] + ": a folder, which --max-depth 0 does not enter"});
}

TEST_CASE("hidden names count when they are asked for, but never the folder itself") {
  const TempDir temp;
  for (const char* name : {".a.jpg", ".b/c.jpg", "..d/e.jpg", "f.jpg", ".png"}) touch(temp / name);
  CHECK(walk({temp.path().string()}, temp.path(), {.hidden = true}).paths ==
        std::vector<std::string>{"..d/e.jpg", ".a.jpg", ".b/c.jpg", ".png", "f.jpg"});
}

TEST_CASE("of files with other names, those that begin as an image count when they are asked for") {
  const TempDir temp;
  const std::string png = "\x89PNG\r\n\x1a\n and so on", jpeg = "\xff\xd8\xff\xe0 and so on";
  for (const char* name : {"a.jpg", ".hidden"}) touch(temp / name);
  write_file(temp / "b", png);
  write_file(temp / "c.txt", jpeg);
  write_file(temp / "d.gif", "GIF89a");
  write_file(temp / "e", png.substr(0, 7));
  write_file(temp / "f", "");
  REQUIRE(mkfifo((temp / "g").c_str(), 0600) == 0);  // opening it must not wait
  fs::create_symlink("b", temp / "h");
  fs::create_symlink("nothing", temp / "i");
  const Walk found = walk({temp.path().string()}, temp.path(), {.any_name = true});
  CHECK(found.paths == std::vector<std::string>{"a.jpg", "b", "c.txt", "h"});
  CHECK(found.errors.empty());
}

TEST_CASE("of files with other names, those that cannot be read are failed inputs") {
  const TempDir temp;
  touch(temp / "locked");
  fs::permissions(temp / "locked", fs::perms::none);
  if (access((temp / "locked").c_str(), R_OK) == 0) {
    WARN("SKIPPED: this user may read everything");
    return;
  }
  CHECK(walk({temp.path().string()}, temp.path(), {.any_name = true}).errors ==
        std::vector<std::string>{"locked"});
}

TEST_CASE("a folder that vanishes while it is walked is one failed input, and the rest goes on") {
  const TempDir temp;
  for (const char* name : {"d/a.jpg", "d/b/x.jpg", "d/c.jpg", "e.jpg"}) touch(temp / name);
  InputWalker walker(
      std::make_unique<NamedSource>(NamedInputs{.paths = {(temp / "d").string(), (temp / "e.jpg").string()}}),
      {}, [](const std::string&) {});
  REQUIRE(walker.next()->path == (temp / "d/a.jpg").string());
  fs::remove_all(temp / "d");
  const std::optional<Input> folder = walker.next();
  REQUIRE(folder);
  CHECK(folder->path == (temp / "d/b").string());
  REQUIRE(folder->error);
  CHECK(folder->error->code == mnv2::ErrorCode::file_not_found);
  CHECK(walker.next()->path == (temp / "d/c.jpg").string());  // reading it will tell
  CHECK(walker.next()->path == (temp / "e.jpg").string());
  CHECK_FALSE(walker.next());
}

TEST_CASE("a folder without images is a warning, not an input") {
  const TempDir temp;
  touch(temp / "empty/sub/readme.txt");
  touch(temp / "full/a.jpg");
  fs::create_directories(temp / "full/nothing");
  const Walk found = walk({(temp / "empty").string(), (temp / "full").string()}, temp.path());
  CHECK(found.paths == std::vector<std::string>{"full/a.jpg"});
  REQUIRE(found.warnings.size() == 1);
  CHECK(found.warnings[0].find((temp / "empty").string() + ":") == 0);
}

TEST_CASE("special files with an image's name are handed out for the reader to refuse") {
  const TempDir temp;
  fs::create_directories(temp / "d");
  REQUIRE(mkfifo((temp / "d/pipe.jpg").c_str(), 0600) == 0);
  CHECK(walk({(temp / "d").string()}, temp / "d").paths == std::vector<std::string>{"pipe.jpg"});
}
