#include "app/inputs/standard_input.h"

#include <span>

#include "app/image/header.h"

namespace mnv2::app {
namespace {

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

StandardInput::StandardInput(char separator) : separator_(separator) {
  const PathList check("-", separator);  // the message is the list's
}

std::optional<Input> StandardInput::next() {
  if (list_) return list_->next();
  if (ended_) return std::nullopt;
  bool more = true;
  while (more && image::may_begin_image(bytes_of(stream_.beginning())) &&
         !image::begins_as_image(bytes_of(stream_.beginning())))
    more = stream_.read_more();
  ended_ = stream_.stopped();
  if (ended_) return std::nullopt;
  if (image::begins_as_image(bytes_of(stream_.beginning()))) {
    ended_ = true;
    return input_of(stream_, "-");
  }
  list_.emplace(stream_.beginning(), !more, separator_);
  return list_->next();
}

}  // namespace mnv2::app
