// WebP files: their structure, and their pixels through the system's libwebp.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "app/image/header.h"

namespace mnv2::image {

/// The pixels of `header`, from the bytes that it was read of: of an animation the first frame, on black where it leaves
/// the canvas free, as Pillow has it. Alpha is dropped. libwebp is loaded at the first call.
/// @param out [height][row_bytes], BGR, written
/// @return whether all of it could be decoded
/// @throws Error{unsupported_format} when there is no libwebp on this machine
bool decode_webp(std::span<const std::uint8_t> bytes, const Header& header, std::uint8_t* out,
                 std::ptrdiff_t row_bytes);

/// The version of the library, or that it is not there.
std::string webp_version();

}  // namespace mnv2::image
