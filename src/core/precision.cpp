#include "mnv2/precision.h"

#include <string>

#include "mnv2/error.h"

namespace mnv2 {

std::string_view precision_name(Precision precision) noexcept {
  switch (precision) {
    case Precision::float32: return "float32";
    case Precision::bfloat16: return "bfloat16";
    case Precision::int8: break;
  }
  return "int8";
}

Precision parse_precision(std::string_view name) {
  std::string names;
  for (const Precision precision : kPrecisions) {
    if (precision_name(precision) == name) return precision;
    names.append(names.empty() ? "" : ", ").append(precision_name(precision));
  }
  throw Error(ErrorCode::invalid_argument,
              "precision '" + std::string(name) + "': unknown, expected one of " + names);
}

}  // namespace mnv2
