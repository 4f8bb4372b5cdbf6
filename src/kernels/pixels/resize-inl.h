// Pillow's 8-bit resize, the bilinear one in floats and the normalisation, see resize.h. A 16-byte block of a vector is
// one row in the horizontal pass, sixteen columns in the vertical one, and four pixels in the others.
#pragma once

#include "kernels/pixels/resize.h"

namespace {

using mnv2::kernels::Affine;
using mnv2::kernels::BilinearPass;
using mnv2::kernels::HorizontalPass;
using mnv2::kernels::Normalisation;
using mnv2::kernels::NormalisePass;
using mnv2::kernels::ResizeKernels;
using mnv2::kernels::VerticalPass;

constexpr int kWeightsPerPair = 4;
constexpr int kHalf = 1 << 21;  // rounds the shift by 22

inline Ints from_fixed_point(Ints high, Ints low) { return shift_right<22>(add(shift_left<11>(high), low)); }

/// One output pixel of every row: lanes R, G, B and one without meaning in each block. `kBlocks` is 0 for any
/// number.
template <int kBlocks>
inline Ints resized_pixel(const HorizontalPass& pass, const std::int16_t* weights, std::ptrdiff_t start) {
  const int blocks = kBlocks > 0 ? kBlocks : pass.blocks;
  Ints high = Ints::set(0);
  Ints low = Ints::set(kHalf);
  for (int block = 0; block < blocks; ++block) {
    const Bytes pixels = Bytes::load_blocks(pass.rows, start + 12 * block);
    const std::int16_t* w = weights + 2 * kWeightsPerPair * block;
    const Words first = pixels_01(pixels);
    const Words second = pixels_23(pixels);
    high = add(high, add(dot(first, Words::broadcast_pair(w)), dot(second, Words::broadcast_pair(w + 4))));
    low = add(low, add(dot(first, Words::broadcast_pair(w + 2)), dot(second, Words::broadcast_pair(w + 6))));
  }
  return from_fixed_point(high, low);
}

template <int kBlocks>
inline void resize_rows(const HorizontalPass& pass) {
  const int blocks = kBlocks > 0 ? kBlocks : pass.blocks;
  const std::ptrdiff_t step = 2 * kWeightsPerPair * static_cast<std::ptrdiff_t>(blocks);
  const std::int16_t* w = pass.weights;
  for (int x = 0; x < pass.pixels; x += 4, w += 4 * step) {
    for (int r = 0; r < Bytes::kBlocks; ++r) __builtin_prefetch(pass.next_rows[r] + pass.starts[x]);
    const Ints p0 = resized_pixel<kBlocks>(pass, w, pass.starts[x]);
    const Ints p1 = resized_pixel<kBlocks>(pass, w + step, pass.starts[x + 1]);
    const Ints p2 = resized_pixel<kBlocks>(pass, w + 2 * step, pass.starts[x + 2]);
    const Ints p3 = resized_pixel<kBlocks>(pass, w + 3 * step, pass.starts[x + 3]);
    drop_fourths(narrow(p0, p1, p2, p3)).store_blocks(pass.out, std::ptrdiff_t{3} * x);
  }
}

void resize_horizontal(const HorizontalPass& pass) noexcept {
  // Up to four taps, so all enlargements and reductions to a half, are the common case.
  if (pass.blocks == 1) return resize_rows<1>(pass);
  resize_rows<0>(pass);
}

void resize_vertical(const VerticalPass& pass) noexcept {
  for (int x = 0; x < pass.bytes; x += Bytes::kSize) {
    Ints high[4];
    Ints low[4];
    for (int i = 0; i < 4; ++i) high[i] = Ints::set(0);
    for (int i = 0; i < 4; ++i) low[i] = Ints::set(kHalf);
    for (int pair = 0; pair < pass.pairs; ++pair) {
      const Bytes a = Bytes::load(pass.rows[2 * pair] + x);
      const Bytes b = Bytes::load(pass.rows[2 * pair + 1] + x);
      const Bytes left = interleave_low(a, b);
      const Bytes right = interleave_high(a, b);
      const Words values[4] = {widen_low(left), widen_high(left), widen_low(right), widen_high(right)};
      const Words w_high = Words::broadcast_pair(pass.weights + kWeightsPerPair * pair);
      const Words w_low = Words::broadcast_pair(pass.weights + kWeightsPerPair * pair + 2);
      for (int i = 0; i < 4; ++i) high[i] = add(high[i], dot(values[i], w_high));
      for (int i = 0; i < 4; ++i) low[i] = add(low[i], dot(values[i], w_low));
    }
    narrow(from_fixed_point(high[0], low[0]), from_fixed_point(high[1], low[1]),
           from_fixed_point(high[2], low[2]), from_fixed_point(high[3], low[3]))
        .store(pass.out + x);
  }
}

/// a / b, correctly rounded, for 1 / b correctly rounded and no overflow or underflow: Markstein's
/// correction.
inline Vec divide(Vec a, Vec b, Vec inverse_b) {
  const Vec quotient = mul(a, inverse_b);
  return fma(negated_fma(b, quotient, a), inverse_b, quotient);
}

/// What one channel is normalised with, held in registers: the stores to the output could alias the
/// originals.
struct ChannelNorm {
  ChannelNorm(const Normalisation& n, int channel)
      : negated_mean(Vec::set(-n.mean[channel])),
        std(Vec::set(n.std[channel])),
        inverse_std(Vec::set(n.inverse_std[channel])) {}

  Vec apply(Ints values) const {
    const Vec unit = divide(to_floats(values), Vec::set(255.0f), Vec::set(1.0f / 255.0f));
    return divide(add(unit, negated_mean), std, inverse_std);
  }

  Vec negated_mean, std, inverse_std;
};

void normalise(const NormalisePass& pass) noexcept {
  const Normalisation& n = *pass.normalisation;
  const std::uint8_t* pixels = pass.pixels;
  float* const out[3] = {pass.out[0], pass.out[1], pass.out[2]};
  const int count = pass.count;
  int x = 0;
  if (n.arithmetic) {
    const ChannelNorm norm0(n, 0), norm1(n, 1), norm2(n, 2);
    for (; x + Vec::kLanes <= count; x += Vec::kLanes) {
      const Bytes block = Bytes::load_blocks(pixels + std::ptrdiff_t{3} * x);
      norm0.apply(channel<0>(block)).store(out[0] + x);
      norm1.apply(channel<1>(block)).store(out[1] + x);
      norm2.apply(channel<2>(block)).store(out[2] + x);
    }
  }
  const float* const table[3] = {n.table[0], n.table[1], n.table[2]};
  for (; x < count; ++x)
    for (int c = 0; c < 3; ++c) out[c][x] = table[c][pixels[3 * x + c]];
}

/// a + (b - a) * weight
inline Vec between(Vec a, Vec b, Vec weight) { return fma(negated_fma(Vec::set(1.0f), a, b), weight, a); }

/// What one channel of a bilinear pass is computed with, held in registers as ChannelNorm is.
struct ChannelAffine {
  ChannelAffine(const Affine& affine, int channel)
      : scale(Vec::set(affine.scale[channel])), offset(Vec::set(affine.offset[channel])) {}

  Vec scale, offset;
};

/// Vec::kLanes pixels in all their neighbours.
struct FourNeighbours {
  FourNeighbours(const BilinearPass& pass, int x)
      : upper{Bytes::load_blocks(pass.upper[0] + std::ptrdiff_t{3} * x),
              Bytes::load_blocks(pass.upper[1] + std::ptrdiff_t{3} * x)},
        lower{Bytes::load_blocks(pass.lower[0] + std::ptrdiff_t{3} * x),
              Bytes::load_blocks(pass.lower[1] + std::ptrdiff_t{3} * x)} {}

  template <int kChannel>
  Vec blend(Vec x_weights, Vec y_weight) const {
    const Vec above =
        between(to_floats(channel<kChannel>(upper[0])), to_floats(channel<kChannel>(upper[1])), x_weights);
    const Vec below =
        between(to_floats(channel<kChannel>(lower[0])), to_floats(channel<kChannel>(lower[1])), x_weights);
    return between(above, below, y_weight);
  }

  Bytes upper[2], lower[2];
};

void resize_bilinear(const BilinearPass& pass) noexcept {
  const ChannelAffine affine0(*pass.affine, 0), affine1(*pass.affine, 1), affine2(*pass.affine, 2);
  const Vec y_weight = Vec::set(pass.y_weight);
  float* const out[3] = {pass.out[0], pass.out[1], pass.out[2]};
  const int count = pass.count;
  int x = 0;
  for (; x + Vec::kLanes <= count; x += Vec::kLanes) {
    const FourNeighbours pixels(pass, x);
    const Vec x_weights = Vec::load(pass.x_weights + x);
    fma(pixels.blend<0>(x_weights, y_weight), affine0.scale, affine0.offset).store(out[0] + x);
    fma(pixels.blend<1>(x_weights, y_weight), affine1.scale, affine1.offset).store(out[1] + x);
    fma(pixels.blend<2>(x_weights, y_weight), affine2.scale, affine2.offset).store(out[2] + x);
  }
  const auto mix = [](float a, float b, float weight) { return a + (b - a) * weight; };
  for (; x < count; ++x) {
    for (int c = 0; c < 3; ++c) {
      const std::ptrdiff_t i = std::ptrdiff_t{3} * x + c;
      const float above = mix(pass.upper[0][i], pass.upper[1][i], pass.x_weights[x]);
      const float below = mix(pass.lower[0][i], pass.lower[1][i], pass.x_weights[x]);
      out[c][x] = mix(above, below, pass.y_weight) * pass.affine->scale[c] + pass.affine->offset[c];
    }
  }
}

constexpr ResizeKernels kResizeKernels{
    .rows = Bytes::kBlocks,
    .horizontal = resize_horizontal,
    .vertical = resize_vertical,
    .normalise = normalise,
    .bilinear = resize_bilinear,
};

}  // namespace
