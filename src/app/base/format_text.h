// Text as printf makes it.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>

namespace mnv2::app {

/// At most 511 bytes; what is more is cut.
[[gnu::format(printf, 1, 2)]] inline std::string format_text(const char* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

}  // namespace mnv2::app
