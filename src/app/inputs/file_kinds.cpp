#include "app/inputs/file_kinds.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace mnv2::app {
namespace {

using namespace std::string_view_literals;

/// Whether both are the same as far as the shorter one goes; in the signature, '?' is any byte.
bool agree(std::string_view signature, std::string_view bytes) {
  const std::size_t size = std::min(signature.size(), bytes.size());
  return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size), signature.begin(),
                    [](char byte, char wanted) { return wanted == '?' || byte == wanted; });
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// In small letters and with its dot; empty where there is none.
std::string extension_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {};
  std::string extension(name.substr(dot));
  std::transform(extension.begin(), extension.end(), extension.begin(), lower);
  return extension;
}

/// The ending of `name`, in small letters and with its dot, when it is that of a kind of image that is not read.
std::optional<std::string> other_image_extension(std::string_view name) {
  constexpr std::string_view kExtensions[] = {
      ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".gif", ".tif", ".tiff", ".bmp", ".psd", ".svg",
      // Raw files of cameras.
      ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef",
      ".srw", ".raw", ".3fr", ".x3f", ".rwl", ".iiq", ".kdc", ".dcr", ".mrw"};
  std::string extension = extension_of(name);
  if (std::find(std::begin(kExtensions), std::end(kExtensions), extension) == std::end(kExtensions))
    return std::nullopt;
  return extension;
}

}  // namespace

bool has_image_extension(std::string_view name) {
  constexpr std::array<std::string_view, 6> kExtensions{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"};
  return std::find(kExtensions.begin(), kExtensions.end(), extension_of(name)) != kExtensions.end();
}

bool has_archive_extension(std::string_view name) {
  constexpr std::string_view kExtensions[] = {".tar",    ".tar.gz", ".tgz",     ".tar.zst", ".tzst",
                                              ".tar.xz", ".txz",    ".tar.bz2", ".tbz2",    ".zip"};
  const std::string_view file = name.substr(std::min(name.rfind('/') + 1, name.size()));
  return std::any_of(std::begin(kExtensions), std::end(kExtensions), [&](std::string_view extension) {
    return file.size() > extension.size() &&
           std::equal(extension.rbegin(), extension.rend(), file.rbegin(),
                      [](char wanted, char found) { return wanted == lower(found); });
  });
}

Beginning archive_beginning(std::string_view bytes) {
  // gzip, zstd, xz, bzip2 (with its first block, because a path may begin with "BZh"), zip and an empty zip.
  constexpr std::string_view kSignatures[] = {"\x1f\x8b"sv,   "\x28\xb5\x2f\xfd"sv, "\xfd\x37zXZ\0"sv,
                                              "BZh?1AY&SY"sv, "PK\3\4"sv,           "PK\5\6"sv};
  bool may_be = false;
  for (const std::string_view signature : kSignatures) {
    if (!agree(signature, bytes)) continue;
    if (bytes.size() >= signature.size()) return Beginning::archive;
    may_be = true;
  }
  // POSIX.1-2017, pax, "ustar Interchange Format": a name that ends with a NUL, and the magic after 257 bytes. A tar
  // without members is NULs alone.
  constexpr std::size_t kMagicAt = 257;
  constexpr std::string_view kMagic = "ustar";
  if (bytes.size() >= kMagicAt + kMagic.size()) {
    const bool is_tar = bytes.substr(kMagicAt, kMagic.size()) == kMagic;
    const bool is_empty_tar = bytes.substr(0, kMagicAt).find_first_not_of('\0') == std::string_view::npos;
    return is_tar || is_empty_tar ? Beginning::archive : Beginning::other;
  }
  const bool is_list = bytes.find('\n') < bytes.find('\0');
  return is_list && !may_be ? Beginning::other : Beginning::unknown;
}

void PassedOver::note(std::string_view name) {
  if (const std::optional<std::string> extension = other_image_extension(name)) ++images_[*extension];
  if (has_archive_extension(name)) ++archives_;
}

std::string PassedOver::take_images() {
  std::vector<std::pair<std::string, std::size_t>> kinds(images_.begin(), images_.end());
  images_.clear();
  if (kinds.empty()) return {};
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::size_t files = 0;
  std::string list;
  for (const auto& [extension, count] : kinds) {
    files += count;
    list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + extension;
  }
  return "skipped " + std::to_string(files) + (files == 1 ? " file: " : " files: ") + list;
}

std::size_t PassedOver::take_archives() { return std::exchange(archives_, 0); }

}  // namespace mnv2::app
