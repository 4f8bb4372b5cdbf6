// The names of what a preprocessing can be made of.
#include <array>
#include <string>
#include <string_view>

#include "mnv2/error.h"
#include "mnv2/model.h"

namespace mnv2 {
namespace {

/// The one of `values` that `name_of` gives this name.
template <typename Value, std::size_t kCount>
Value parse(const char* what, std::string_view name, std::string_view (*name_of)(Value) noexcept,
            const std::array<Value, kCount>& values) {
  std::string expected;
  for (std::size_t i = 0; i < kCount; ++i) {
    if (name == name_of(values[i])) return values[i];
    expected += (i == 0 ? "" : i + 1 < kCount ? ", " : " or ") + std::string(name_of(values[i]));
  }
  throw Error(ErrorCode::invalid_argument,
              std::string(what) + " '" + std::string(name) + "' is unknown, expected " + expected);
}

}  // namespace

std::string_view interpolation_name(Interpolation interpolation) noexcept {
  switch (interpolation) {
    case Interpolation::bilinear: return "bilinear";
    case Interpolation::bicubic: return "bicubic";
    case Interpolation::lanczos: return "lanczos";
    case Interpolation::nearest: return "nearest";
  }
  return "unknown";
}

std::string_view resize_form_name(ResizeForm form) noexcept {
  switch (form) {
    case ResizeForm::crop: return "crop";
    case ResizeForm::crop_floor: return "crop-floor";
    case ResizeForm::fit: return "fit";
    case ResizeForm::squash: return "squash";
    case ResizeForm::squash_half_pixel: return "squash-half-pixel";
    case ResizeForm::squash_align_corners: return "squash-align-corners";
  }
  return "unknown";
}

Interpolation parse_interpolation(std::string_view name) {
  return parse("interpolation", name, interpolation_name, kInterpolations);
}

ResizeForm parse_resize_form(std::string_view name) {
  return parse("resize form", name, resize_form_name, kResizeForms);
}

}  // namespace mnv2
