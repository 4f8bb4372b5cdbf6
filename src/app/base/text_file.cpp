#include "app/base/text_file.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "app/base/signals.h"
#include "app/base/usage_error.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{64} << 20;  // a million long labels

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

std::string read_text_file(const std::string& flag, const std::string& path) {
  const auto fail = [&](const std::string& why) { throw UsageError(flag + ": " + path + ": " + why); };
  const int descriptor = open_interruptibly(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(std::generic_category().message(errno));
  const std::unique_ptr<std::FILE, CloseFile> file(fdopen(descriptor, "rb"));
  std::string text;
  char buffer[65536];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;) {
    text.append(buffer, got);
    if (text.size() > kMaxBytes) fail("larger than 64 MiB");
  }
  if (std::ferror(file.get())) fail(std::generic_category().message(errno));
  return text;
}

}  // namespace mnv2::app
