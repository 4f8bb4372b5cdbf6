// Reading an image file into memory, whatever the path turns out to be.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace mnv2::image {

constexpr std::int64_t kMaxFileBytes = std::int64_t{1} << 30;

/// The file's bytes, read once. Follows symbolic links; never waits for a FIFO, device or socket.
/// @param before_reading told the file's size before memory for it is taken; may wait.
/// @throws Error{file_not_found}
/// @throws Error{file_unreadable} for what is no regular file, may not be read, or fails or grows while it is
/// read
/// @throws Error{image_too_large} above `max_bytes`
/// @throws Error{out_of_memory}
std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::int64_t max_bytes = kMaxFileBytes,
                                    const std::function<void(std::int64_t bytes)>& before_reading = {});

/// Whether it is a regular file whose first bytes claim to be a JPEG, PNG or WebP image; false for a file that is
/// not there. @throws Error{file_unreadable}
bool begins_as_image(const std::filesystem::path& path);

}  // namespace mnv2::image
