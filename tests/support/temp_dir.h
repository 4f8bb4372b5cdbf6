// A folder for one test, removed with everything in it at the end of the scope; and whole-file writing.
#pragma once

#include <filesystem>
#include <string_view>

namespace mnv2::test {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Creates or replaces the file. @throws std::runtime_error
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace mnv2::test
