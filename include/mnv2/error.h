// Errors: the exception type of this library. Besides, std::bad_alloc says that memory ran out.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "mnv2/export.h"

namespace mnv2 {

/// What went wrong, for programs. `error_code_name` gives the spelling that appears in JSON records.
enum class ErrorCode {
  invalid_argument,  ///< A caller passed a value outside its documented range.
  file_not_found,    ///< No file at that path.
  file_unreadable,  ///< The file exists but cannot be read: permissions, a directory, a device, an I/O error.
  invalid_model,    ///< A model file that cannot be used.
  unsupported_isa,  ///< An instruction set that is unknown, or that this CPU or this build does not have.
  unsupported_format,  ///< An image file that is neither JPEG nor PNG.
  damaged_image,       ///< An image file that ends early or that its decoder rejects.
  image_too_large,     ///< An image above a limit: pixels, dimensions, scans.
  out_of_memory,       ///< An allocation or a mapping failed.
  internal,            ///< A defect of this program.
};

/// The stable snake_case name of `code`, e.g. "damaged_image". Of a literal, which ends with NUL.
MNV2_API std::string_view error_code_name(ErrorCode code) noexcept;

/// Thrown for bad input. `what()` names the object, what was expected and what was found.
class MNV2_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace mnv2
