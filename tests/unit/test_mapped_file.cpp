#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "core/mapped_file.h"
#include "support/catch.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

using mnv2::ErrorCode;
using mnv2::MappedFile;
using mnv2::test::error_message;
using mnv2::test::TempDir;
using mnv2::test::write_file;

namespace {

std::string text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::string refusal(const std::filesystem::path& path, ErrorCode code) {
  const std::string message = error_message(code, [&] { MappedFile file(path); });
  REQUIRE(message.starts_with(path.string() + ": "));
  return message.substr(path.string().size() + 2);
}

}  // namespace

TEST_CASE("a mapped file holds the bytes of the file, whatever its size") {
  const TempDir dir;
  for (const std::size_t size : {1, 4095, 4096, 4097, 100000}) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + 7);
    write_file(dir / "file", bytes);
    CHECK(text(MappedFile(dir / "file")) == bytes);
  }
}

TEST_CASE("a mapping outlives the name of its file and moves") {
  const TempDir dir;
  write_file(dir / "one", "one");
  write_file(dir / "two", "two");
  MappedFile one(dir / "one");
  std::filesystem::remove(dir / "one");
  CHECK(text(one) == "one");

  MappedFile moved(std::move(one));
  CHECK(text(moved) == "one");
  CHECK(one.bytes().empty());  // NOLINT: what a move leaves is part of the contract

  moved = MappedFile(dir / "two");
  CHECK(text(moved) == "two");
}

TEST_CASE("a mapping leaves no descriptor open") {
  const TempDir dir;
  write_file(dir / "file", "bytes");
  const int before = ::dup(0);
  ::close(before);
  const MappedFile file(dir / "file");
  const int after = ::dup(0);  // the lowest free descriptor
  ::close(after);
  CHECK(after == before);
}

TEST_CASE("what is no regular file with something in it is refused by name, without waiting") {
  const TempDir dir;
  CHECK(refusal(dir / "absent", ErrorCode::file_not_found) == "No such file or directory");
  write_file(dir / "file", "bytes");
  CHECK(refusal(dir / "file/below", ErrorCode::file_not_found) == "Not a directory");
  CHECK(refusal(dir.path(), ErrorCode::file_unreadable) == "a directory, expected a regular file");
  CHECK(refusal("/dev/zero", ErrorCode::file_unreadable) == "not a regular file");
  CHECK(refusal(std::string(5000, 'x'), ErrorCode::file_unreadable) == "File name too long");

  write_file(dir / "empty", "");
  CHECK(refusal(dir / "empty", ErrorCode::file_unreadable) == "an empty file");

  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  CHECK(refusal(dir / "fifo", ErrorCode::file_unreadable) == "not a regular file");

  std::filesystem::create_symlink("loop", dir / "loop");
  CHECK(refusal(dir / "loop", ErrorCode::file_unreadable) == "Too many levels of symbolic links");

  write_file(dir / "secret", "bytes");
  REQUIRE(::chmod((dir / "secret").c_str(), 0) == 0);
  if (::access((dir / "secret").c_str(), R_OK) == 0) {
    WARN("skipped: permissions do not bind this user");
  } else {
    CHECK(refusal(dir / "secret", ErrorCode::file_unreadable) == "Permission denied");
  }
}
