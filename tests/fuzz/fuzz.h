// What the fuzz targets share. Each defines LLVMFuzzerTestOneInput: libFuzzer calls it on bytes of its making, and
// run_files.cpp on files where there is no libFuzzer. A target ends the process when a promise is broken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>

#include "mnv2/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace mnv2::fuzz {

inline void require(bool promise, const std::string& message) {
  if (promise) return;
  std::fprintf(stderr, "broken promise: %s\n", message.c_str());
  std::abort();
}

/// Messages go to terminals and into JSON: UTF-8, and no control characters, which start escape sequences.
inline bool is_printable(const std::string& text) {
  std::size_t following = 0;  // bytes that the character still needs
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues = (byte & 0xc0) == 0x80;
    if (continues != (following > 0) || byte < 0x20 || byte == 0x7f || byte > 0xf4) return false;
    if (continues)
      --following;
    else
      following = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
  }
  return following == 0;
}

/// Runs `call`. @return whether it came to its end; when it threw, the Error has one of `codes` and a message in order.
template <typename Call>
bool succeeds(std::initializer_list<ErrorCode> codes, Call&& call) {
  constexpr std::size_t kMaxMessageBytes = 1000;
  try {
    call();
    return true;
  } catch (const Error& error) {
    const std::string message = error.what();
    require(std::find(codes.begin(), codes.end(), error.code()) != codes.end(),
            "error of an unexpected kind, " + std::string(error_code_name(error.code())) + ": " + message);
    require(!message.empty() && message.size() <= kMaxMessageBytes && is_printable(message),
            "message unfit to print: " + message);
    return false;
  }
}

}  // namespace mnv2::fuzz
