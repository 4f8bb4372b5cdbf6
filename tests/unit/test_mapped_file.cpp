#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

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

/// How many pages of `mapped` are in this process's memory.
std::size_t resident_pages(std::span<const std::byte> mapped, std::size_t page) {
  std::vector<std::uint64_t> entries((mapped.size() + page - 1) /
                                     page);  // of a page, the highest bit: present
  const int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  const auto first = reinterpret_cast<std::uintptr_t>(mapped.data()) / page;
  const ssize_t read = pread(map, entries.data(), entries.size() * 8, static_cast<off_t>(first * 8));
  close(map);
  if (read != static_cast<ssize_t>(entries.size() * 8)) return 0;
  return static_cast<std::size_t>(
      std::count_if(entries.begin(), entries.end(), [](std::uint64_t entry) { return entry >> 63 != 0; }));
}

std::string refusal(const std::filesystem::path& path, ErrorCode code) {
  const std::string message = error_message(code, [&] { const MappedFile file(path); });
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

TEST_CASE("what is released leaves memory, as far as it is whole pages, and can be read again") {
  const TempDir dir;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::string bytes(100 * page + 5, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + 7);
  write_file(dir / "file", bytes);
  const MappedFile file(dir / "file");
  const auto resident = [&] { return resident_pages(file.bytes(), page); };
  const auto read_all = [&] { REQUIRE(text(file) == bytes); };

  read_all();
  if (resident() != 101) {  // under an emulator, whose addresses are others
    WARN("SKIPPED: the system does not show which pages are in memory");
    file.release(file.bytes());
    return read_all();
  }
  file.release(file.bytes().subspan(10 * page + 1, 20 * page));  // 19 pages wholly
  CHECK(resident() == 101 - 19);
  read_all();
  file.release(file.bytes().subspan(7 * page, page));
  CHECK(resident() == 100);
  file.release(file.bytes().subspan(3 * page + 8, page));
  file.release(file.bytes().first(page - 1));
  file.release(file.bytes().first(0));
  CHECK(resident() == 100);
  file.release(file.bytes().subspan(90 * page));
  CHECK(resident() == 89);
  file.release(file.bytes());
  CHECK(resident() == 0);
  read_all();
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

TEST_CASE("a file without room in the address space is told as a lack of memory") {
  const int file = ::memfd_create("large", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, off_t{1} << 60) != 0) {
    WARN("SKIPPED: the system makes no file of 2^60 bytes");
  } else {
    CHECK(refusal("/proc/self/fd/" + std::to_string(file), ErrorCode::out_of_memory) ==
          "Cannot allocate memory");
  }
  if (file >= 0) ::close(file);
}
