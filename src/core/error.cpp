#include "mnv2/error.h"

namespace mnv2 {

std::string_view error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::file_not_found: return "file_not_found";
    case ErrorCode::file_unreadable: return "file_unreadable";
    case ErrorCode::invalid_model: return "invalid_model";
    case ErrorCode::unsupported_isa: return "unsupported_isa";
    case ErrorCode::unsupported_format: return "unsupported_format";
    case ErrorCode::damaged_image: return "damaged_image";
    case ErrorCode::image_too_large: return "image_too_large";
    case ErrorCode::out_of_memory: return "out_of_memory";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

}  // namespace mnv2
