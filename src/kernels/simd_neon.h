// Vectors of four floats: NEON of aarch64. A multiply-add takes one lane of a register for a factor, where x86 broadcasts
// it by a load: one load of a pixel serves four channels. A tile of 10 pixels x 2 vectors, 80 multiply-adds, costs 9 loads
// or pairs of loads and none of the copies to all lanes that would take the multipliers' slots.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

struct Vec {
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 32;
  static constexpr int kAccumulators = 20;    // of a register tile; the weights of a load take eight more
  static constexpr bool kFuses = true;        // a multiply-add rounds once
  static constexpr bool kAddsInPlace = true;  // the sum of a multiply-add can only replace the addend
  float32x4_t v;

  static Vec load(const float* p) { return {vld1q_f32(p)}; }
  static Vec set(float x) { return {vdupq_n_f32(x)}; }
  /// The two floats at p, over and over.
  static Vec load_pair(const float* p) {
    const float32x2_t pair = vld1_f32(p);
    return {vcombine_f32(pair, pair)};
  }
  void store(float* p) const { vst1q_f32(p, v); }
  /// Tells the optimiser that the value is used.
  void keep() { __asm__ volatile("" : "+w"(v)); }
};

inline Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
inline Vec fused_fma(Vec a, Vec b, Vec c) { return fma(a, b, c); }
inline Vec add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
inline Vec sub(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
inline Vec mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
// As on x86, a NaN in `a` gives b.
inline Vec min(Vec a, Vec b) { return {vminnmq_f32(a.v, b.v)}; }
inline Vec max(Vec a, Vec b) { return {vmaxnmq_f32(a.v, b.v)}; }

/// The sums of neighbouring lanes: those of a, then those of b.
inline Vec add_pairs(Vec a, Vec b) { return {vpaddq_f32(a.v, b.v)}; }

inline float largest_lane(Vec a) { return vmaxvq_f32(a.v); }

/// To the nearest bfloat16, halves to even.
inline Vec round_to_bf16(Vec a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a.v);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t sum = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
  return {vreinterpretq_f32_u32(vandq_u32(sum, vdupq_n_u32(0xffff0000)))};
}

inline Vec negated_fma(Vec a, Vec b, Vec c) { return {vfmsq_f32(c.v, a.v, b.v)}; }  // c - a * b

/// Neighbouring floats, each to be multiplied with whole vectors. The multiply-add picks its lane itself, so
/// one load serves four channels, and none of the units that multiply spends a slot on copying a float to all
/// lanes.
struct Factors {
  static constexpr int kCount = 4;
  float32x4_t v;

  static Factors load(const float* p) { return {vld1q_f32(p)}; }
  static Factors load_one(const float* p) { return {float32x4_t{*p, 0, 0, 0}}; }
};

/// a[which] * b + c
inline Vec fma(Factors a, int which, Vec b, Vec c) {
  switch (which) {
    case 0: return {vfmaq_laneq_f32(c.v, b.v, a.v, 0)};
    case 1: return {vfmaq_laneq_f32(c.v, b.v, a.v, 1)};
    case 2: return {vfmaq_laneq_f32(c.v, b.v, a.v, 2)};
    default: return {vfmaq_laneq_f32(c.v, b.v, a.v, 3)};
  }
}

// Integer vectors for pixels. A vector is one block of 16 bytes.

struct Ints {
  uint32x4_t v;  // unsigned: sums may wrap

  static Ints set(int x) { return {vdupq_n_u32(static_cast<std::uint32_t>(x))}; }
  void keep() { __asm__ volatile("" : "+w"(v)); }
  static Ints load(const std::int32_t* p) { return {vreinterpretq_u32_s32(vld1q_s32(p))}; }
};

struct Words {
  int16x8_t v;

  /// The two words at p, over and over.
  static Words broadcast_pair(const std::int16_t* p) {
    std::int32_t pair;
    std::memcpy(&pair, p, sizeof(pair));
    return {vreinterpretq_s16_s32(vdupq_n_s32(pair))};
  }
  static Words load(const std::int16_t* p) { return {vld1q_s16(p)}; }
  void store(std::int16_t* p) const { vst1q_s16(p, v); }
};

struct Bytes {
  static constexpr int kSize = 16;
  static constexpr int kBlocks = 1;
  uint8x16_t v;

  static Bytes load(const std::uint8_t* p) { return {vld1q_u8(p)}; }
  void store(std::uint8_t* p) const { vst1q_u8(p, v); }
  static Bytes load_blocks(const std::uint8_t* const* rows, std::ptrdiff_t offset) {
    return load(rows[0] + offset);
  }
  static Bytes load_blocks(const std::uint8_t* p) { return load(p); }
  void store_blocks(std::uint8_t* const* rows, std::ptrdiff_t offset) const { store(rows[0] + offset); }
};

inline Ints add(Ints a, Ints b) { return {vaddq_u32(a.v, b.v)}; }
template <int kBits>
inline Ints shift_left(Ints a) {
  return {vshlq_n_u32(a.v, kBits)};
}
inline int32x4_t as_signed(Ints a) { return vreinterpretq_s32_u32(a.v); }
/// Keeps the sign.
template <int kBits>
inline Ints shift_right(Ints a) {
  return {vreinterpretq_u32_s32(vshrq_n_s32(as_signed(a), kBits))};
}
/// a[2i] * b[2i] + a[2i + 1] * b[2i + 1]
inline Ints dot(Words a, Words b) {
  const int32x4_t low = vmull_s16(vget_low_s16(a.v), vget_low_s16(b.v));
  const int32x4_t high = vmull_high_s16(a.v, b.v);
  return {vreinterpretq_u32_s32(vpaddq_s32(low, high))};
}

/// a0 b0 a1 b1 ... of the low or the high eight bytes.
inline Bytes interleave_low(Bytes a, Bytes b) { return {vzip1q_u8(a.v, b.v)}; }
inline Bytes interleave_high(Bytes a, Bytes b) { return {vzip2q_u8(a.v, b.v)}; }
/// The low or the high eight bytes as words.
inline Words widen_low(Bytes a) { return {vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a.v)))}; }
inline Words widen_high(Bytes a) { return {vreinterpretq_s16_u16(vmovl_high_u8(a.v))}; }
/// The four ints of a, then of b, c and d, clipped to 0..255.
inline Bytes narrow(Ints a, Ints b, Ints c, Ints d) {
  const uint16x8_t ab = vqmovun_high_s32(vqmovun_s32(as_signed(a)), as_signed(b));
  const uint16x8_t cd = vqmovun_high_s32(vqmovun_s32(as_signed(c)), as_signed(d));
  return {vqmovn_high_u16(vqmovn_u16(ab), cd)};
}

/// An index above 15 gives 0.
inline Bytes shuffle(Bytes a, uint8x16_t order) { return {vqtbl1q_u8(a.v, order)}; }
/// Of interleaved pixels: r0 r1 g0 g1 b0 b1 and two words without meaning.
inline Words pixels_01(Bytes a) {
  constexpr uint8x16_t order{0, 99, 3, 99, 1, 99, 4, 99, 2, 99, 5, 99, 99, 99, 99, 99};
  return {vreinterpretq_s16_u8(shuffle(a, order).v)};
}
/// The same of pixels 2 and 3.
inline Words pixels_23(Bytes a) {
  constexpr uint8x16_t order{6, 99, 9, 99, 7, 99, 10, 99, 8, 99, 11, 99, 99, 99, 99, 99};
  return {vreinterpretq_s16_u8(shuffle(a, order).v)};
}
/// Of four pixels of four bytes: their first three bytes, then four without meaning.
inline Bytes drop_fourths(Bytes a) {
  constexpr uint8x16_t order{0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 99, 99, 99, 99};
  return shuffle(a, order);
}
/// Of interleaved pixels: one channel of the first four.
template <int kChannel>
inline Ints channel(Bytes a) {
  constexpr std::uint8_t c = kChannel;
  constexpr uint8x16_t order{c, 99, 99, 99, c + 3, 99, 99, 99, c + 6, 99, 99, 99, c + 9, 99, 99, 99};
  return {vreinterpretq_u32_u8(shuffle(a, order).v)};
}
inline Vec to_floats(Ints a) { return {vcvtq_f32_s32(as_signed(a))}; }

/// To the nearest integer, halves to even.
inline Ints round_to_ints(Vec a) { return {vreinterpretq_u32_s32(vcvtnq_s32_f32(a.v))}; }
/// All of a, then of b; they fit.
inline Words narrow(Ints a, Ints b) { return {vqmovn_high_s32(vqmovn_s32(as_signed(a)), as_signed(b))}; }

}  // namespace
