#include "mnv2/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "kernels/contracts.h"
#include "mnv2/error.h"
#include "preprocess/bilinear.h"
#include "preprocess/nearest.h"
#include "preprocess/resample.h"
#include "preprocess/window.h"

namespace mnv2 {
namespace {

constexpr int kMaxSide = 16384;
constexpr int kChannels = 3;
constexpr int kMaxImageSide = 1 << 29;  // the bytes of a row are counted in int

[[noreturn]] void throw_invalid(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

std::string size_text(int width, int height) {
  return std::to_string(width) + " x " + std::to_string(height);
}

void check(const Preprocessing& p) {
  const auto check_side = [](const char* name, int side) {
    if (side < 1 || side > kMaxSide)
      throw_invalid("preprocessing: " + std::string(name) + " is " + std::to_string(side) +
                    ", expected 1 to " + std::to_string(kMaxSide));
  };
  check_side("resize", p.resize);
  check_side("crop", p.crop);
  const std::string form(resize_form_name(p.form));
  if (!has_resize(p.form) && p.resize != p.crop)
    throw_invalid("preprocessing: resize is " + std::to_string(p.resize) + ", expected the crop's " +
                  std::to_string(p.crop) + " for the form " + form);
  if (!gives_bytes(p.form) && p.interpolation != Interpolation::bilinear)
    throw_invalid("preprocessing: interpolation is " + std::string(interpolation_name(p.interpolation)) +
                  ", expected bilinear for the form " + form);
  for (int c = 0; c < kChannels; ++c) {
    if (!std::isfinite(p.mean[c]))
      throw_invalid("preprocessing: mean of channel " + std::to_string(c) + " is not finite");
    if (!(p.std[c] > 0.0f) || !std::isfinite(p.std[c]))
      throw_invalid("preprocessing: std of channel " + std::to_string(c) + " is " + std::to_string(p.std[c]) +
                    ", expected a positive number");
  }
}

void check(const ImageView& image) {
  if (image.data == nullptr || image.width < 1 || image.height < 1)
    throw_invalid("image: empty, " + size_text(image.width, image.height));
  if (image.width > kMaxImageSide || image.height > kMaxImageSide)
    throw Error(ErrorCode::image_too_large, "image: " + size_text(image.width, image.height) +
                                                ", expected at most " + std::to_string(kMaxImageSide) +
                                                " pixels a side");
  if (image.row_bytes < std::ptrdiff_t{kChannels} * image.width)
    throw_invalid("image: rows of " + std::to_string(image.row_bytes) + " bytes, expected at least " +
                  std::to_string(std::ptrdiff_t{kChannels} * image.width));
}

void check(const PlanarView& out, int crop) {
  if (out.data == nullptr || out.width != crop || out.height != crop)
    throw_invalid("network input: " + size_text(out.width, out.height) + ", expected " +
                  size_text(crop, crop));
}

/// The channel of a pixel, whose channels are ordered as `order` says, that is channel c of RGB.
int rgb_channel(int c, ChannelOrder order) { return order == ChannelOrder::rgb ? c : kChannels - 1 - c; }

/// Row y of each plane of `out`, for the channels of a pixel in its order.
std::array<float*, kChannels> rows_of(const PlanarView& out, int y, ChannelOrder order) {
  std::array<float*, kChannels> rows;
  for (int c = 0; c < kChannels; ++c)
    rows[c] = out.data + out.row_stride * y + out.plane_stride * rgb_channel(c, order);
  return rows;
}

constexpr kernels::Affine kUnchanged{.scale = {1, 1, 1}, .offset = {0, 0, 0}};

/// (value / 255 - mean) / std, for pixels whose channels are ordered as `order` says.
kernels::Affine affine_for(const Preprocessing& p, ChannelOrder order) {
  kernels::Affine affine{};
  for (int c = 0; c < kChannels; ++c) {
    const int rgb = rgb_channel(c, order);
    affine.scale[c] = static_cast<float>(1.0 / (255.0 * p.std[rgb]));
    affine.offset[c] = static_cast<float>(-double{p.mean[rgb]} / p.std[rgb]);
  }
  return affine;
}

using Table = std::array<std::array<float, 256>, kChannels>;

/// For pixels whose channels are ordered as `order` says.
kernels::Normalisation normalisation_for(const Preprocessing& p, const Table& table, ChannelOrder order,
                                         bool arithmetic) {
  kernels::Normalisation n{};
  for (int c = 0; c < kChannels; ++c) {
    const int rgb = rgb_channel(c, order);
    n.table[c] = table[rgb].data();
    n.mean[c] = p.mean[rgb];
    n.std[c] = p.std[rgb];
    n.inverse_std[c] = 1.0f / p.std[rgb];
  }
  n.arithmetic = arithmetic;
  return n;
}

/// Whether the kernel's arithmetic gives the table's value for all 256 values of all channels.
bool arithmetic_is_exact(const kernels::Normalisation& normalisation, const kernels::ResizeKernels& kernels) {
  constexpr int kValues = 256;
  std::array<std::uint8_t, kValues * kChannels + 4> pixels{};
  for (int i = 0; i < kValues * kChannels; ++i) pixels[i] = static_cast<std::uint8_t>(i / kChannels);
  std::array<std::array<float, kValues>, kChannels> computed;
  kernels.normalise({.pixels = pixels.data(),
                     .out = {computed[0].data(), computed[1].data(), computed[2].data()},
                     .count = kValues,
                     .normalisation = &normalisation});
  for (int c = 0; c < kChannels; ++c)
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): bit for bit, as the results must be
    if (std::memcmp(computed[c].data(), normalisation.table[c], sizeof(computed[c])) != 0) return false;
  return true;
}

}  // namespace

struct Preprocessor::Scratch::Buffers {
  Resampler resampler;
  NearestRows nearest;
  BilinearRows bilinear;
  std::vector<std::uint8_t> line;  // [crop][3] and what the kernels write after it
  std::vector<float> planes;       // [3][crop]

  /// Calls finish(y, line) for every row of the crop of a form that gives bytes; line: [crop][3] in the image's channel
  /// order.
  template <typename Finish>
  void for_each_row(const ImageView& image, const Preprocessing& p, const kernels::ResizeKernels& kernels,
                    const Finish& finish);
};

template <typename Finish>
void Preprocessor::Scratch::Buffers::for_each_row(const ImageView& image, const Preprocessing& p,
                                                  const kernels::ResizeKernels& kernels,
                                                  const Finish& finish) {
  const CropWindow window = crop_window(image.width, image.height, p);
  const std::ptrdiff_t left = std::ptrdiff_t{kChannels} * window.x.pad;
  const std::ptrdiff_t right = left + std::ptrdiff_t{kChannels} * window.x.count;
  line.assign(std::size_t{kChannels} * p.crop + Resampler::kSlack, 0);
  const bool is_nearest = p.interpolation == Interpolation::nearest;
  if (is_nearest)
    nearest.start(image, window);
  else
    resampler.start(image, window, p.interpolation, kernels);
  for (int y = 0; y < p.crop; ++y) {
    const int row = y - window.y.pad;
    if (row >= 0 && row < window.y.count) {
      if (is_nearest)
        nearest.row(row, line.data() + left);
      else
        resampler.row(row, line.data() + left);
      std::fill(line.begin() + right, line.end(), std::uint8_t{0});
    } else {
      std::fill(line.begin(), line.end(), std::uint8_t{0});
    }
    finish(y, line.data());
  }
}

Preprocessor::Scratch::Scratch() : buffers_(std::make_unique<Buffers>()) {}
Preprocessor::Scratch::~Scratch() = default;
Preprocessor::Scratch::Scratch(Scratch&&) noexcept = default;
Preprocessor::Scratch& Preprocessor::Scratch::operator=(Scratch&&) noexcept = default;

Preprocessor::Preprocessor(const Preprocessing& preprocessing, Isa isa)
    : preprocessing_(preprocessing), isa_(isa) {
  check(preprocessing);
  const auto& resize_kernels = kernels::kernel_table(isa).resize;
  for (int c = 0; c < kChannels; ++c)
    for (int v = 0; v < 256; ++v)
      normalised_[c][v] = (static_cast<float>(v) / 255.0f - preprocessing.mean[c]) / preprocessing.std[c];
  arithmetic_ = arithmetic_is_exact(normalisation_for(preprocessing, normalised_, ChannelOrder::rgb, true),
                                    resize_kernels);
}

void Preprocessor::crop(const ImageView& image, Scratch& scratch, std::uint8_t* out) const {
  check(image);
  const auto& resize_kernels = kernels::kernel_table(isa_).resize;
  const int side = preprocessing_.crop;
  const std::ptrdiff_t row_bytes = std::ptrdiff_t{kChannels} * side;
  Scratch::Buffers& buffers = *scratch.buffers_;
  const auto red_first = [&](std::uint8_t* row) {
    if (image.order == ChannelOrder::rgb) return;
    for (std::ptrdiff_t i = 0; i < row_bytes; i += kChannels) std::swap(row[i], row[i + 2]);
  };
  if (gives_bytes(preprocessing_.form)) {
    buffers.for_each_row(image, preprocessing_, resize_kernels, [&](int y, const std::uint8_t* line) {
      std::memcpy(out + row_bytes * y, line, row_bytes);
      red_first(out + row_bytes * y);
    });
    return;
  }
  buffers.planes.resize(std::size_t{kChannels} * side);
  float* const planes = buffers.planes.data();
  buffers.bilinear.start(image, crop_window(image.width, image.height, preprocessing_), preprocessing_.form,
                         resize_kernels);
  for (int y = 0; y < side; ++y) {
    buffers.bilinear.row(y, kUnchanged, {planes, planes + side, planes + 2 * std::ptrdiff_t{side}});
    std::uint8_t* const row = out + row_bytes * y;
    for (int c = 0; c < kChannels; ++c)
      for (int x = 0; x < side; ++x)
        row[kChannels * x + c] = static_cast<std::uint8_t>(planes[std::ptrdiff_t{side} * c + x] + 0.5f);
    red_first(row);
  }
}

void Preprocessor::operator()(const ImageView& image, Scratch& scratch, const PlanarView& out) const {
  check(image);
  check(out, preprocessing_.crop);
  if (gives_bytes(preprocessing_.form))
    normalise_bytes(image, scratch, out);
  else
    normalise_floats(image, scratch, out);
}

void Preprocessor::normalise_bytes(const ImageView& image, Scratch& scratch, const PlanarView& out) const {
  const auto& resize_kernels = kernels::kernel_table(isa_).resize;
  const auto normalisation = normalisation_for(preprocessing_, normalised_, image.order, arithmetic_);
  scratch.buffers_->for_each_row(image, preprocessing_, resize_kernels, [&](int y, const std::uint8_t* line) {
    const auto rows = rows_of(out, y, image.order);
    resize_kernels.normalise({.pixels = line,
                              .out = {rows[0], rows[1], rows[2]},
                              .count = preprocessing_.crop,
                              .normalisation = &normalisation});
  });
}

void Preprocessor::normalise_floats(const ImageView& image, Scratch& scratch, const PlanarView& out) const {
  const auto& resize_kernels = kernels::kernel_table(isa_).resize;
  const kernels::Affine affine = affine_for(preprocessing_, image.order);
  BilinearRows& bilinear = scratch.buffers_->bilinear;
  bilinear.start(image, crop_window(image.width, image.height, preprocessing_), preprocessing_.form,
                 resize_kernels);
  for (int y = 0; y < preprocessing_.crop; ++y) bilinear.row(y, affine, rows_of(out, y, image.order));
}

}  // namespace mnv2
