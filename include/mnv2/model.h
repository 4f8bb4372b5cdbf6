// A model file: the architecture, the preprocessing, the labels and the weights of one network, as read and validated.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mnv2/export.h"

namespace mnv2 {

/// y = min(max(x, min), max): ReLU6 is {0, 6}, ReLU is {0, inf}, linear is {-inf, inf}.
struct Clamp {
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();

  /// Whether it changes nothing.
  bool is_linear() const {
    return min == -std::numeric_limits<float>::infinity() && max == std::numeric_limits<float>::infinity();
  }
  bool operator==(const Clamp&) const = default;
};

/// What a layer computes, and the shape of its weights, which is PyTorch's.
enum class LayerKind {
  conv,       ///< Dense kernel x kernel convolution, weights [out_c, in_c, kernel, kernel].
  depthwise,  ///< One kernel x kernel filter per channel, in_c == out_c, weights [out_c, 1, kernel, kernel].
  pointwise,  ///< 1x1 convolution, weights [out_c, in_c, 1, 1].
  linear,     ///< Fully connected, weights [out_c, in_c].
};

/// "conv", "depthwise", "pointwise" or "linear", as in the model file.
MNV2_API std::string_view layer_kind_name(LayerKind kind) noexcept;

/// What the 3x3 convolutions of a network see beyond the image's edges, always zeros. The output has
/// ceil(in / stride) pixels a side either way.
enum class Padding {
  symmetric,  ///< (kernel - 1) / 2 on every side, as PyTorch's padding=1.
  same,  ///< TensorFlow's "SAME": at stride 2 on an even side nothing before and one after (bottom, right).
};

/// "symmetric" or "same", as in the model file.
MNV2_API std::string_view padding_name(Padding padding) noexcept;

/// One layer with BatchNorm folded in; every layer has a bias [out_c].
struct Layer {
  std::string name;  // the tensors are `<name>.weight` and `<name>.bias`
  LayerKind kind = LayerKind::pointwise;
  int in_c = 0;
  int out_c = 0;
  int kernel = 1;
  int stride = 1;
  Clamp clamp;
  /// Trainable parameters of the layer before BatchNorm was folded in, with BatchNorm's own; as PyTorch counts them.
  /// Nothing where the file does not say.
  std::optional<std::int64_t> source_parameters = {};

  bool operator==(const Layer&) const = default;
};

/// An inverted residual (Sandler et al. 2018, Table 1): expand, depthwise, project, plus the input when `residual`.
/// Without `expand` and with an activation after `project`, MobileNetV1's separable block (Howard et al. 2017, Table 1).
struct Block {
  std::optional<Layer> expand;
  Layer depthwise;
  Layer project;  // its clamp comes before the input is added
  bool residual = false;

  bool operator==(const Block&) const = default;
};

/// What the outputs of the last layer mean.
enum class OutputActivation {
  softmax,  ///< An image is of one class: the probabilities of all add up to 1.
  sigmoid,  ///< One output is two classes, of which the second one is it; several are independent labels.
  none,     ///< Scores as they are, no probabilities.
};

/// "softmax", "sigmoid" or "none", as in the model file.
MNV2_API std::string_view output_activation_name(OutputActivation activation) noexcept;

/// The layers of a network in the order of Sandler et al. 2018, Table 2: stem, blocks, head, global average pooling, and
/// fully connected layers, of which the table has one.
struct Architecture {
  std::string name;  // e.g. "mobilenet_v2"
  Padding padding = Padding::symmetric;
  Layer stem;
  std::vector<Block> blocks;  // at least one
  std::optional<Layer> head;  // absent: the last block's output is pooled, as in MobileNetV1
  /// The classifier: fully connected layers in order, of which the last one gives the outputs. Empty: the network has no
  /// classes, its output is the embedding.
  std::vector<Layer> dense;
  OutputActivation output_activation = OutputActivation::softmax;

  /// How many numbers the network gives besides the embedding.
  int num_outputs() const { return dense.empty() ? 0 : dense.back().out_c; }
  /// Whether the one output is the probability of the second of two classes.
  bool is_binary() const { return output_activation == OutputActivation::sigmoid && num_outputs() == 1; }
  /// 0 without a classifier.
  int num_classes() const { return is_binary() ? 2 : num_outputs(); }
  /// How many numbers the pooling gives.
  int embedding_size() const { return head ? head->out_c : blocks.back().project.out_c; }
  /// All layers in order of execution; they live as long as this.
  MNV2_API std::vector<const Layer*> layers() const;

  bool operator==(const Architecture&) const = default;
};

/// The filter of the resize, as Pillow's. All but nearest are antialiased: as much wider as they reduce.
enum class Interpolation {
  bilinear,  ///< A triangle of radius 1.
  bicubic,   ///< Keys' cubic of radius 2 with a = -0.5.
  lanczos,   ///< The sinc function, windowed by its middle third, of radius 3.
  nearest,   ///< The source pixel that an output pixel's centre lies in.
};

/// "bilinear", "bicubic", "lanczos" or "nearest", as in the model file.
MNV2_API std::string_view interpolation_name(Interpolation interpolation) noexcept;

/// The interpolation of that name. @throws Error{invalid_argument} for one that there is not.
MNV2_API Interpolation parse_interpolation(std::string_view name);

/// How an image becomes the square that the network sees.
enum class ResizeForm {
  crop,        ///< torchvision's Resize and CenterCrop; half of an odd margin is rounded to even.
  crop_floor,  ///< The same, with half of an odd margin rounded down: Hugging Face's image processors.
  fit,     ///< Pillow's ImageOps.fit: the largest square in the middle, to half a pixel: Teachable Machine.
  squash,  ///< Pillow's resize of the whole image, whatever its proportions: Keras' load_img.
  /// The whole image by the four pixels around (x + 0.5) * in / out - 0.5, not antialiased and not rounded to bytes:
  /// TensorFlow's image.resize.
  squash_half_pixel,
  /// The same around x * (in - 1) / (out - 1): TensorFlow.js' resizeBilinear with alignCorners.
  squash_align_corners,
};

/// "crop", "crop-floor", "fit", "squash", "squash-half-pixel" or "squash-align-corners", as in the model file.
MNV2_API std::string_view resize_form_name(ResizeForm form) noexcept;

/// The form of that name. @throws Error{invalid_argument} for one that there is not.
MNV2_API ResizeForm parse_resize_form(std::string_view name);

/// All of them, in the order of their enumeration.
inline constexpr std::array kInterpolations{Interpolation::bilinear, Interpolation::bicubic,
                                            Interpolation::lanczos, Interpolation::nearest};
inline constexpr std::array kResizeForms{
    ResizeForm::crop,   ResizeForm::crop_floor,        ResizeForm::fit,
    ResizeForm::squash, ResizeForm::squash_half_pixel, ResizeForm::squash_align_corners};

/// Whether the form resizes to one size and then crops to another; the others have the crop's size alone.
constexpr bool has_resize(ResizeForm form) {
  return form == ResizeForm::crop || form == ResizeForm::crop_floor;
}

/// Whether the resize gives bytes, as Pillow's does; the others are bilinear in floats.
constexpr bool gives_bytes(ResizeForm form) {
  return form != ResizeForm::squash_half_pixel && form != ResizeForm::squash_align_corners;
}

/// From pixels to the network's input: the form's resize and crop, /255, (x - mean) / std.
struct Preprocessing {
  int resize = 256;                                   // pixels; the same as the crop unless has_resize(form)
  int crop = 224;                                     // pixels
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f};  // RGB, for values in [0, 1]
  std::array<float, 3> std{0.229f, 0.224f, 0.225f};
  Interpolation interpolation = Interpolation::bilinear;  // nothing else unless gives_bytes(form)
  ResizeForm form = ResizeForm::crop;

  bool operator==(const Preprocessing&) const = default;
};

/// An immutable model file, mapped into memory. Cheap to copy; copies share the mapping. Safe to use from any
/// number of threads. A file that is cut short meanwhile loses its weights: replace it by renaming another.
class MNV2_API Model {
 public:
  /// Maps and validates `path` (safetensors, as written by scripts/convert_torchvision.py). Every offset, shape,
  /// product, count and value is checked.
  /// @throws Error{file_not_found, file_unreadable, invalid_model, out_of_memory}
  static Model load(const std::filesystem::path& path);

  // What is returned by reference lives as long as the model or a copy of it.
  const Architecture& architecture() const;
  /// What the network was trained with.
  const Preprocessing& preprocessing() const;
  /// One label per class, or empty when the file has none; always empty without a classifier. Of a binary architecture the
  /// first one is of what the output denies.
  const std::vector<std::string>& labels() const;
  /// Where the weights came from, as the converter wrote it, e.g. "torchvision MobileNet_V2_Weights.IMAGENET1K_V1".
  const std::string& source() const;
  /// As given to load().
  const std::filesystem::path& path() const;
  /// The size of the file.
  std::uint64_t file_bytes() const;

  /// The weights of `layer` in PyTorch order (see LayerKind) and its bias [out_c]; they live as long as the model or a
  /// copy of it.
  /// Weights that the file has as bfloat16 are widened and kept by the first call for them.
  /// @throws Error{invalid_argument} for a layer that this model does not have.
  std::span<const float> weight(const Layer& layer) const;
  std::span<const float> bias(const Layer& layer) const;
  /// The mean of each of the layer's inputs [in_c] in the float32 network, which int8 corrects its biases by. Empty where the
  /// file has none, and of depthwise layers.
  std::span<const float> input_mean(const Layer& layer) const;

 private:
  friend struct ModelMemory;
  struct Data;
  explicit Model(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

}  // namespace mnv2
