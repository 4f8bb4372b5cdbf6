#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "app/base/usage_error.h"
#include "app/inputs/named_source.h"
#include "app/inputs/path_list.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace mnv2::app;
using mnv2::test::TempDir;
using mnv2::test::write_file;
using Paths = std::vector<std::string>;
using namespace std::string_literals;

namespace {

struct Found {
  Paths paths;
  Paths errors;
};

Found drain(InputSource& source) {
  Found found;
  while (const std::optional<Input> input = source.next()) {
    REQUIRE(found.paths.size() < 100000);
    found.paths.push_back(input->path);
    if (input->error) found.errors.push_back(input->error->message);
  }
  return found;
}

Found listed(const std::string& content, char separator = '\n') {
  const TempDir temp;
  write_file(temp / "list", content);
  PathList list((temp / "list").string(), separator);
  return drain(list);
}

}  // namespace

TEST_CASE("lines are paths, whatever bytes they have, and empty ones are none") {
  CHECK(listed("a\nb b\n\n \n\xff\xfe\r\n-\n\n./c").paths ==
        Paths{"a", "b b", " ", "\xff\xfe\r", "-", "./c"});
  CHECK(listed("").paths.empty());
  CHECK(listed("\n\n").paths.empty());
  CHECK(listed("a\n").errors.empty());
}

TEST_CASE("with NUL between paths, line ends are bytes of them") {
  CHECK(listed("a\nb\0c\0\0\nd"s, '\0').paths == Paths{"a\nb", "c", "\nd"});
}

TEST_CASE("long lists are cut at the right places, wherever a piece of them ends") {
  std::string content;
  Paths expected;
  for (std::size_t i = 0; i < 3000; ++i) {
    expected.push_back(std::string(1 + i % 211, static_cast<char>('a' + i % 26)) + std::to_string(i));
    content += expected.back() + "\n";
  }
  CHECK(listed(content).paths == expected);
}

TEST_CASE("a NUL byte in a line, and a line without end, are one failed input each") {
  Found found = listed("a\nb\0c\nd\n"s);
  CHECK(found.paths == Paths{"a", "b\0c"s, "d"});
  REQUIRE(found.errors.size() == 1);
  CHECK(found.errors[0].find("--null") != std::string::npos);

  constexpr std::size_t kMax = PathList::kMaxPathBytes;
  for (const std::size_t extra : {std::size_t{1}, kMax / 2, 5 * kMax}) {
    INFO(extra);
    found = listed("a\n" + std::string(kMax + extra, 'x') + "\nb");
    CHECK(found.paths == Paths{"a", std::string(kMax, 'x'), "b"});
    CHECK(found.errors.size() == 1);
    found = listed(std::string(kMax + extra, 'x'));
    CHECK(found.paths == Paths{std::string(kMax, 'x')});
    CHECK(found.errors.size() == 1);
  }
  CHECK(listed(std::string(kMax, 'x') + "\n").errors.empty());
}

TEST_CASE("each path is there as soon as its line is") {
  const TempDir temp;
  const std::string name = (temp / "fifo").string();
  REQUIRE(mkfifo(name.c_str(), 0600) == 0);
  PathList list(name, '\n');  // must not wait for the writer
  int writer = -1;
  std::thread opener([&] { writer = open(name.c_str(), O_WRONLY); });
  opener.join();
  REQUIRE(writer >= 0);
  const auto write_text = [&](const std::string& text) {
    REQUIRE(write(writer, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  };
  write_text("first\nsec");
  CHECK(list.next()->path == "first");
  write_text("ond\n");
  CHECK(list.next()->path == "second");
  write_text("last");
  close(writer);
  CHECK(list.next()->path == "last");
  CHECK_FALSE(list.next());
  CHECK_FALSE(list.next());
}

TEST_CASE("a list that cannot be opened is a usage error that names it") {
  const TempDir temp;
  for (const std::string& name : {(temp / "missing").string(), temp.path().string(), ""s}) {
    INFO(name);
    try {
      const PathList list(name, '\n');
      FAIL("accepted");
    } catch (const UsageError& e) {
      CHECK(std::string(e.what()).find("--files-from: cannot read the list " + name) == 0);
    }
  }
}

TEST_CASE("the arguments come first, then the list") {
  const TempDir temp;
  write_file(temp / "list", "c\nd\n");
  NamedSource arguments({.paths = {"a", "b"}, .files_from = (temp / "list").string()});
  CHECK(drain(arguments).paths == Paths{"a", "b", "c", "d"});
}

TEST_CASE("one file is a single one only when nothing can add to it") {
  const TempDir temp;
  CHECK(NamedInputs{.paths = {"a.jpg"}}.single_file());
  CHECK_FALSE(NamedInputs{.paths = {"a.jpg", "b.jpg"}}.single_file());
  CHECK_FALSE(NamedInputs{.paths = {"a.jpg"}, .files_from = "list"}.single_file());
  CHECK_FALSE(NamedInputs{.paths = {"-"}}.single_file());
  CHECK_FALSE(NamedInputs{.files_from = "-"}.single_file());
  CHECK_FALSE(NamedInputs{.paths = {temp.path().string()}}.single_file());
}
