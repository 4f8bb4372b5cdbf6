#include "app/models/zip_names.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mnv2::app {
namespace {

// PKWARE's APPNOTE.TXT, sections 4.3.12 and 4.3.16.
constexpr std::string_view kEndSignature = "PK\5\6";
constexpr std::string_view kEntrySignature = "PK\1\2";
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kMaxCommentBytes = 65535;
constexpr std::size_t kEntryBytes = 46;
constexpr std::size_t kMaxDirectoryBytes = std::size_t{4} << 20;  // tens of thousands of entries

std::uint32_t number(std::string_view bytes, std::size_t at, int size) {
  std::uint32_t value = 0;
  for (int i = size - 1; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return value;
}

/// Up to `size` bytes from `offset` on.
std::string read_at(std::ifstream& file, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  file.clear();
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return bytes;
}

}  // namespace

std::vector<std::string> zip_names(std::ifstream& file) {
  file.clear();
  file.seekg(0, std::ios::end);
  const std::streamoff end = file.tellg();
  if (end < static_cast<std::streamoff>(kEndBytes)) return {};
  const auto size = static_cast<std::uint64_t>(end);
  const std::uint64_t tail_bytes = std::min<std::uint64_t>(size, kEndBytes + kMaxCommentBytes);
  const std::string tail = read_at(file, size - tail_bytes, static_cast<std::size_t>(tail_bytes));
  const std::size_t last = tail.rfind(kEndSignature);
  if (last == std::string::npos || tail.size() - last < kEndBytes) return {};
  const std::uint32_t directory_bytes = number(tail, last + 12, 4);
  const std::string directory =
      read_at(file, number(tail, last + 16, 4), std::min<std::size_t>(directory_bytes, kMaxDirectoryBytes));

  std::vector<std::string> names;
  for (std::size_t at = 0; at + kEntryBytes <= directory.size();) {
    if (directory.compare(at, kEntrySignature.size(), kEntrySignature) != 0) break;
    const std::size_t name_bytes = number(directory, at + 28, 2);
    names.push_back(directory.substr(at + kEntryBytes, name_bytes));
    at += kEntryBytes + name_bytes + number(directory, at + 30, 2) + number(directory, at + 32, 2);
  }
  return names;
}

}  // namespace mnv2::app
