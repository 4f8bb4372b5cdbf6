// libarchive, loaded when the first archive comes.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

struct archive;
struct archive_entry;

namespace mnv2::app {

/// What is used of <archive.h> and <archive_entry.h>, version 3: the same names without their prefix.
struct ArchiveLibrary {
  using OpenCallback = int (*)(archive*, void* client);
  using ReadCallback = ssize_t (*)(archive*, void* client, const void** block);

  archive* (*read_new)() = nullptr;
  int (*read_free)(archive*) = nullptr;
  int (*read_support_filter_gzip)(archive*) = nullptr;
  int (*read_support_filter_bzip2)(archive*) = nullptr;
  int (*read_support_filter_xz)(archive*) = nullptr;
  int (*read_support_filter_zstd)(archive*) = nullptr;
  int (*read_support_format_tar)(archive*) = nullptr;
  int (*read_support_format_zip)(archive*) = nullptr;
  int (*read_set_format_option)(archive*, const char* module, const char* name, const char* value) = nullptr;
  int (*read_open)(archive*, void* client, OpenCallback, ReadCallback, OpenCallback close) = nullptr;
  int (*read_open_fd)(archive*, int descriptor, std::size_t block_bytes) = nullptr;
  int (*read_next_header)(archive*, archive_entry**) = nullptr;
  ssize_t (*read_data)(archive*, void*, std::size_t) = nullptr;
  const char* (*error_string)(archive*) = nullptr;
  int (*format)(archive*) = nullptr;
  int (*filter_code)(archive*, int) = nullptr;
  const char* (*entry_pathname)(archive_entry*) = nullptr;
  const char* (*entry_pathname_utf8)(archive_entry*) = nullptr;
  const char* (*entry_hardlink)(archive_entry*) = nullptr;
  const char* (*entry_symlink)(archive_entry*) = nullptr;
  mode_t (*entry_filetype)(archive_entry*) = nullptr;
  std::int64_t (*entry_size)(archive_entry*) = nullptr;
  int (*entry_size_is_set)(archive_entry*) = nullptr;

  static constexpr int kEof = 1, kOk = 0, kRetry = -10, kWarn = -20;
  static constexpr int kFormatMask = 0xff0000, kFormatTar = 0x30000;

  /// The library of this process. @throws Error{unsupported_format} where it cannot be loaded
  static const ArchiveLibrary& get();

 private:
  ArchiveLibrary();
  std::string error_;  // why it is not there
};

}  // namespace mnv2::app
