// Archives: their members as inputs, from a file and from a stream.
#include <fcntl.h>

#include <cstddef>
#include <optional>
#include <string>

#include "app/base/descriptor.h"
#include "app/image/read_file.h"
#include "app/inputs/archive.h"
#include "app/inputs/stream.h"
#include "fuzz/fuzz.h"
#include "fuzz/memory_file.h"

using mnv2::fuzz::require;
using namespace mnv2::app;

namespace {

void walk(ArchiveMembers& members, const std::string& path) {
  std::size_t count = 0;
  while (std::optional<Input> input = members.next()) {
    require(++count <= 1000000, "no end");
    require(input->member ? input->path.starts_with(path + "/") : input->path == path && input->error,
            "an input that is neither a member nor an error of the archive");
    require(!input->error || !input->error->message.empty(), "an error without a message");
    if (count % 3 == 0) continue;  // as --resume passes over what is done
    require(load_content(*input), "stopped without a signal");
    require(input->error.has_value() != (input->content != nullptr), "neither content nor an error, or both");
    require(!input->content || input->content->size() <= std::size_t{mnv2::image::kMaxFileBytes},
            "content above the limit");
  }
  require(!members.next(), "an input after the last");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const mnv2::fuzz::MemoryFile file(data, size);
  const auto ignore = [](const std::string& message) { require(!message.empty(), "an empty warning"); };
  for (const bool any_name : {false, true}) {
    ArchiveMembers from_file(file.path(), {.any_name = any_name}, ignore);
    walk(from_file, file.path());
    const Descriptor descriptor(open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
    Stream stream(descriptor.get());
    ArchiveMembers from_stream("-", stream, {.any_name = any_name}, ignore);
    walk(from_stream, "-");
  }
  return 0;
}
