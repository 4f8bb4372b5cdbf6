// Images whose picture is whole though the file does not end as it should: as files that end well.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "app/image/header.h"

namespace mnv2::image {

/// A JPEG file up to byte `end`, with an end marker there. Whether all rows are in it the decoder tells: where data are
/// missing, libjpeg warns of their premature end.
std::vector<std::uint8_t> jpeg_ended_at(std::span<const std::uint8_t> bytes, std::size_t end);

/// A PNG file made of the chunks before the image data, these data and an end; nothing when data are missing for a row,
/// when a checksum of theirs is wrong, or where the chunks before them are cut.
/// @param header of the file.
/// @throws std::bad_alloc
std::optional<std::vector<std::uint8_t>> png_of_whole_picture(std::span<const std::uint8_t> bytes,
                                                              const Header& header);

}  // namespace mnv2::image
