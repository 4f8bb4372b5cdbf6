// A model's preprocessing, otherwise than the model has it.
#include <cmath>
#include <string>

#include "mnv2/error.h"
#include "mnv2/preprocess.h"

namespace mnv2 {
namespace {

[[noreturn]] void refuse(const std::string& what, ResizeForm form, const std::string& expected) {
  throw Error(ErrorCode::invalid_argument, "preprocessing: " + what + ", expected " + expected +
                                               " for the form " + std::string(resize_form_name(form)));
}

}  // namespace

Preprocessing changed(const Preprocessing& preprocessing, const PreprocessingChanges& changes) {
  Preprocessing result = preprocessing;
  result.form = changes.form.value_or(preprocessing.form);
  result.crop = changes.crop.value_or(changes.input_size.value_or(preprocessing.crop));
  if (has_resize(result.form)) {
    const double scale =
        changes.input_size ? static_cast<double>(*changes.input_size) / preprocessing.crop : 1.0;
    result.resize = changes.resize.value_or(static_cast<int>(std::lround(preprocessing.resize * scale)));
  } else {
    result.resize = result.crop;
    if (changes.resize.value_or(result.crop) != result.crop)
      refuse("resize is " + std::to_string(*changes.resize), result.form,
             "the crop's " + std::to_string(result.crop));
  }
  const bool bilinear_alone = !gives_bytes(result.form);
  result.interpolation =
      changes.interpolation.value_or(bilinear_alone ? Interpolation::bilinear : preprocessing.interpolation);
  if (bilinear_alone && result.interpolation != Interpolation::bilinear)
    refuse("interpolation is " + std::string(interpolation_name(result.interpolation)), result.form,
           "bilinear");
  return result;
}

}  // namespace mnv2
