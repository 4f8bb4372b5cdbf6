// A file mapped into memory, read-only: weights are used where the page cache holds them, without a copy.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

namespace mnv2 {

/// The bytes of a regular file that is not empty. As with every mapping, the process is killed (SIGBUS) when
/// someone truncates the file meanwhile: replace files by renaming.
class MappedFile {
 public:
  /// Never waits: FIFOs, devices, sockets and directories are refused.
  /// @throws Error{file_not_found, file_unreadable, out_of_memory}, the message starts with `path`.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  /// Starts at a page boundary; empty only after a move.
  std::span<const std::byte> bytes() const { return bytes_; }

  /// Takes the pages that lie wholly in `part` of bytes() out of the process's memory. Reading them again brings
  /// them back from the page cache, so other threads may be reading.
  void release(std::span<const std::byte> part) const noexcept;

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace mnv2
