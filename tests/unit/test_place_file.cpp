// Putting files beside others: nothing is lost, whatever is there already.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "app/results/place_file.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace mnv2::app;
using mnv2::test::TempDir;
using mnv2::test::write_file;
namespace fs = std::filesystem;

namespace {

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The file NAME with these bytes, in a folder of its own.
fs::path source(const TempDir& temp, const std::string& folder, const std::string& name,
                const std::string& bytes) {
  fs::create_directories(temp / folder);
  write_file(temp / folder / name, bytes);
  return temp / folder / name;
}

std::multiset<std::string> contents(const fs::path& folder) {
  std::multiset<std::string> all;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) all.insert(read(entry.path()));
  return all;
}

}  // namespace

TEST_CASE("copies of one name and size are told apart by their bytes, to the last") {
  const TempDir temp;
  const std::string into = (temp / "into").string();
  fs::create_directory(into);
  const std::string bytes(200000, 'x');
  std::string last = bytes, first = bytes, middle = bytes;
  last.back() = first.front() = middle[100000] = 'y';
  CHECK(place_file(source(temp, "1", "a.jpg", bytes), into, SortAs::copy) == Placed::now);
  CHECK(place_file(source(temp, "2", "a.jpg", last), into, SortAs::copy) == Placed::now);
  CHECK(place_file(source(temp, "3", "a.jpg", first), into, SortAs::copy) == Placed::now);
  CHECK(place_file(source(temp, "4", "a.jpg", middle), into, SortAs::copy) == Placed::now);
  CHECK(place_file(source(temp, "5", "a.jpg", bytes + 'x'), into, SortAs::copy) == Placed::now);
  CHECK(place_file(source(temp, "6", "a.jpg", bytes.substr(1)), into, SortAs::copy) == Placed::now);
  CHECK(place_file(source(temp, "7", "a.jpg", middle), into, SortAs::copy) == Placed::before);
  CHECK(read(into + "/a.jpg") == bytes);
  CHECK(contents(into) ==
        std::multiset<std::string>{bytes, last, first, middle, bytes + 'x', bytes.substr(1)});
}

TEST_CASE("links to files of one name and the same bytes are links to both") {
  const TempDir temp;
  for (const SortAs how : {SortAs::link, SortAs::symlink}) {
    const std::string into = (temp / (how == SortAs::link ? "links" : "symlinks")).string();
    fs::create_directory(into);
    const fs::path a = source(temp, "1", "a.jpg", "same"), b = source(temp, "2", "a.jpg", "same");
    CHECK(place_file(a.string(), into, how) == Placed::now);
    CHECK(place_file(b.string(), into, how) == Placed::now);
    CHECK(place_file(a.string(), into, how) == Placed::before);
    CHECK(place_file(b.string(), into, how) == Placed::before);
    CHECK(fs::equivalent(into + "/a.jpg", a));
    CHECK(fs::equivalent(into + "/a-2.jpg", b));
  }
}

TEST_CASE("processes that place files of one name at the same time lose none") {
  constexpr int kProcesses = 6, kRounds = 15;
  for (const SortAs how : {SortAs::copy, SortAs::link, SortAs::symlink}) {
    const TempDir temp;
    const std::string into = (temp / "into").string();
    fs::create_directory(into);
    std::multiset<std::string> expected;
    std::vector<std::vector<std::string>> sources(kProcesses);
    for (int p = 0; p < kProcesses; ++p)
      for (int round = 0; round < kRounds; ++round) {
        const std::string id = std::to_string(p) + "." + std::to_string(round);
        // All of one size.
        std::string bytes = id + std::string(1000 - id.size(), '.');
        sources[p].push_back(source(temp, id, std::to_string(round) + ".jpg", bytes).string());
        expected.insert(std::move(bytes));
      }
    std::vector<pid_t> children;
    for (int p = 0; p < kProcesses; ++p) {
      const pid_t child = fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        int failed = 0;
        for (const std::string& path : sources[p]) {
          try {
            failed += place_file(path, into, how) != Placed::now;
          } catch (...) {
            ++failed;
          }
        }
        _exit(failed == 0 ? 0 : 1);
      }
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      REQUIRE(waitpid(child, &status, 0) == child);
      CHECK(status == 0);
    }
    CHECK(contents(into) == expected);
  }
}

TEST_CASE("a copy does not replace what gets its name between the look and the rename") {
  // A link to nothing is no file for stat(), but it has the name.
  const TempDir temp;
  const std::string into = (temp / "into").string();
  fs::create_directory(into);
  fs::create_symlink(temp / "nothing", into + "/a.jpg");
  CHECK(place_file(source(temp, "1", "a.jpg", "bytes"), into, SortAs::copy) == Placed::now);
  CHECK(fs::is_symlink(into + "/a.jpg"));
  CHECK(read(into + "/a-2.jpg") == "bytes");
}
