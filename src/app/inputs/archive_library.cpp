#include "app/inputs/archive_library.h"

#include <dlfcn.h>

#include "mnv2/error.h"

namespace mnv2::app {

ArchiveLibrary::ArchiveLibrary() {
  void* const library = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
  const auto find = [&]<typename Function>(Function*& function, const char* name) {
    if (library != nullptr) function = reinterpret_cast<Function*>(dlsym(library, name));
    if (function != nullptr || !error_.empty()) return;
    const char* const reason = dlerror();
    error_ = reason == nullptr ? std::string(name) + " is missing in it" : reason;
  };
  find(read_new, "archive_read_new");
  find(read_free, "archive_read_free");
  find(read_support_filter_gzip, "archive_read_support_filter_gzip");
  find(read_support_filter_bzip2, "archive_read_support_filter_bzip2");
  find(read_support_filter_xz, "archive_read_support_filter_xz");
  find(read_support_filter_zstd, "archive_read_support_filter_zstd");
  find(read_support_format_tar, "archive_read_support_format_tar");
  find(read_support_format_zip, "archive_read_support_format_zip");
  find(read_set_format_option, "archive_read_set_format_option");
  find(read_open, "archive_read_open");
  find(read_open_fd, "archive_read_open_fd");
  find(read_next_header, "archive_read_next_header");
  find(read_data, "archive_read_data");
  find(error_string, "archive_error_string");
  find(format, "archive_format");
  find(filter_code, "archive_filter_code");
  find(entry_pathname, "archive_entry_pathname");
  find(entry_pathname_utf8, "archive_entry_pathname_utf8");
  find(entry_hardlink, "archive_entry_hardlink");
  find(entry_symlink, "archive_entry_symlink");
  find(entry_filetype, "archive_entry_filetype");
  find(entry_size, "archive_entry_size");
  find(entry_size_is_set, "archive_entry_size_is_set");
}

const ArchiveLibrary& ArchiveLibrary::get() {
  static const ArchiveLibrary library;
  if (!library.error_.empty())
    throw Error(
        ErrorCode::unsupported_format,
        "an archive needs libarchive (on Debian and Ubuntu: apt install libarchive13), which cannot be "
        "loaded: " +
            library.error_);
  return library;
}

}  // namespace mnv2::app
