// Vectors of four floats for any CPU, by the compiler's vector extension.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace {

struct Vec {
  static constexpr int kLanes = 4;
  static constexpr int kRegisters = 16;    // at least
  static constexpr int kAccumulators = 8;  // of a register tile; products need registers too
  static constexpr bool kFuses = false;    // a multiply-add rounds once
  static constexpr bool kAddsInPlace = false;
  using Native = float __attribute__((vector_size(16)));
  Native v;

  static Vec load(const float* p) {
    Vec r;
    std::memcpy(&r.v, p, sizeof(r.v));
    return r;
  }
  static Vec set(float x) { return {Native{x, x, x, x}}; }
  /// The two floats at p, over and over.
  static Vec load_pair(const float* p) { return {Native{p[0], p[1], p[0], p[1]}}; }
  void store(float* p) const { std::memcpy(p, &v, sizeof(v)); }
  /// Tells the optimiser that the value is used.
  void keep() {
#if defined(__x86_64__)
    __asm__ volatile("" : "+x"(v));
#elif defined(__aarch64__)
    __asm__ volatile("" : "+w"(v));
#else
    __asm__ volatile("" : "+m"(v));
#endif
  }
};

inline Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
/// The same, rounded once, as wider instruction sets do it.
inline Vec fused_fma(Vec a, Vec b, Vec c) {
  for (int i = 0; i < Vec::kLanes; ++i) c.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return c;
}
inline Vec add(Vec a, Vec b) { return {a.v + b.v}; }
inline Vec sub(Vec a, Vec b) { return {a.v - b.v}; }
inline Vec mul(Vec a, Vec b) { return {a.v * b.v}; }
inline Vec min(Vec a, Vec b) { return {a.v < b.v ? a.v : b.v}; }
inline Vec max(Vec a, Vec b) { return {a.v > b.v ? a.v : b.v}; }

/// The sums of neighbouring lanes: those of a, then those of b.
inline Vec add_pairs(Vec a, Vec b) {
  return {Vec::Native{a.v[0] + a.v[1], a.v[2] + a.v[3], b.v[0] + b.v[1], b.v[2] + b.v[3]}};
}

inline float largest_lane(Vec a) {
  const float low = a.v[0] > a.v[1] ? a.v[0] : a.v[1], high = a.v[2] > a.v[3] ? a.v[2] : a.v[3];
  return low > high ? low : high;
}

/// To the nearest bfloat16, halves to even.
inline Vec round_to_bf16(Vec a) {
  using Bits = std::uint32_t __attribute__((vector_size(16)));
  Bits bits;
  std::memcpy(&bits, &a.v, sizeof(bits));
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  std::memcpy(&a.v, &bits, sizeof(bits));
  return a;
}

inline Vec negated_fma(Vec a, Vec b, Vec c) { return {c.v - a.v * b.v}; }  // c - a * b

/// A float to be multiplied with whole vectors.
struct Factors {
  static constexpr int kCount = 1;
  Vec v;

  static Factors load(const float* p) { return {Vec::set(*p)}; }
  static Factors load_one(const float* p) { return load(p); }
};

inline Vec fma(Factors a, int, Vec b, Vec c) { return fma(a.v, b, c); }

// Integer vectors for pixels. A portable vector is one block of 16 bytes.

#if defined(__SSE2__)

struct Ints {
  __m128i v;  // [4] of 32 bits

  static Ints set(int x) { return {_mm_set1_epi32(x)}; }
  void keep() { __asm__ volatile("" : "+x"(v)); }
  static Ints load(const std::int32_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
};

struct Words {
  __m128i v;  // [8] of 16 bits

  /// The two words at p, over and over.
  static Words broadcast_pair(const std::int16_t* p) {
    int pair;
    std::memcpy(&pair, p, sizeof(pair));
    return {_mm_set1_epi32(pair)};
  }
  static Words load(const std::int16_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
  void store(std::int16_t* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
};

struct Bytes {
  static constexpr int kSize = 16;
  static constexpr int kBlocks = 1;
  __m128i v;

  static Bytes load(const std::uint8_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
  void store(std::uint8_t* p) const { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
  static Bytes load_blocks(const std::uint8_t* const* rows, std::ptrdiff_t offset) {
    return load(rows[0] + offset);
  }
  static Bytes load_blocks(const std::uint8_t* p) { return load(p); }
  void store_blocks(std::uint8_t* const* rows, std::ptrdiff_t offset) const { store(rows[0] + offset); }
};

inline Ints add(Ints a, Ints b) { return {_mm_add_epi32(a.v, b.v)}; }
template <int kBits>
inline Ints shift_left(Ints a) {
  return {_mm_slli_epi32(a.v, kBits)};
}
/// Keeps the sign.
template <int kBits>
inline Ints shift_right(Ints a) {
  return {_mm_srai_epi32(a.v, kBits)};
}
/// a[2i] * b[2i] + a[2i + 1] * b[2i + 1]
inline Ints dot(Words a, Words b) { return {_mm_madd_epi16(a.v, b.v)}; }

/// a0 b0 a1 b1 ... of the low or the high eight bytes.
inline Bytes interleave_low(Bytes a, Bytes b) { return {_mm_unpacklo_epi8(a.v, b.v)}; }
inline Bytes interleave_high(Bytes a, Bytes b) { return {_mm_unpackhi_epi8(a.v, b.v)}; }
/// The low or the high eight bytes as words.
inline Words widen_low(Bytes a) { return {_mm_unpacklo_epi8(a.v, _mm_setzero_si128())}; }
inline Words widen_high(Bytes a) { return {_mm_unpackhi_epi8(a.v, _mm_setzero_si128())}; }
/// The four ints of a, then of b, c and d, clipped to 0..255.
inline Bytes narrow(Ints a, Ints b, Ints c, Ints d) {
  return {_mm_packus_epi16(_mm_packs_epi32(a.v, b.v), _mm_packs_epi32(c.v, d.v))};
}

/// Of interleaved pixels: r0 r1 g0 g1 b0 b1 and two words without meaning.
inline Words pixels_01(Bytes a) { return widen_low(interleave_low(a, {_mm_srli_si128(a.v, 3)})); }
/// The same of pixels 2 and 3.
inline Words pixels_23(Bytes a) { return pixels_01({_mm_srli_si128(a.v, 6)}); }
/// Of four pixels of four bytes: their first three bytes, then four without meaning.
inline Bytes drop_fourths(Bytes a) {
  const __m128i even = _mm_and_si128(a.v, _mm_set1_epi64x(0x0000000000ffffff));
  const __m128i odd = _mm_and_si128(_mm_srli_epi64(a.v, 8), _mm_set1_epi64x(0x0000ffffff000000));
  const __m128i six = _mm_or_si128(even, odd);  // six bytes in each half
  return {_mm_or_si128(_mm_move_epi64(six), _mm_slli_si128(_mm_srli_si128(six, 8), 6))};
}
/// Of interleaved pixels: one channel of the first four.
template <int kChannel>
inline Ints channel(Bytes a) {
  const __m128i p01 = _mm_unpacklo_epi32(a.v, _mm_srli_si128(a.v, 3));
  const __m128i p23 = _mm_unpacklo_epi32(_mm_srli_si128(a.v, 6), _mm_srli_si128(a.v, 9));
  const __m128i pixels = _mm_unpacklo_epi64(p01, p23);
  return {_mm_and_si128(_mm_srli_epi32(pixels, 8 * kChannel), _mm_set1_epi32(0xff))};
}
inline Vec to_floats(Ints a) { return {_mm_cvtepi32_ps(a.v)}; }

/// To the nearest integer, halves to even.
inline Ints round_to_ints(Vec a) { return {_mm_cvtps_epi32(a.v)}; }
/// All of a, then of b; they fit.
inline Words narrow(Ints a, Ints b) { return {_mm_packs_epi32(a.v, b.v)}; }

#else  // the same in plain C++

struct Ints {
  std::uint32_t v[4];  // unsigned: sums may wrap

  static Ints set(int x) {
    const auto u = static_cast<std::uint32_t>(x);
    return {{u, u, u, u}};
  }
  void keep() { __asm__ volatile("" : "+m"(v)); }
  static Ints load(const std::int32_t* p) {
    Ints r;
    std::memcpy(r.v, p, sizeof(r.v));
    return r;
  }
};

struct Words {
  std::int16_t v[8];

  static Words broadcast_pair(const std::int16_t* p) {
    return {{p[0], p[1], p[0], p[1], p[0], p[1], p[0], p[1]}};
  }
  static Words load(const std::int16_t* p) {
    Words r;
    std::memcpy(r.v, p, sizeof(r.v));
    return r;
  }
  void store(std::int16_t* p) const { std::memcpy(p, v, sizeof(v)); }
};

struct Bytes {
  static constexpr int kSize = 16;
  static constexpr int kBlocks = 1;
  std::uint8_t v[kSize];

  static Bytes load(const std::uint8_t* p) {
    Bytes r;
    std::memcpy(r.v, p, kSize);
    return r;
  }
  void store(std::uint8_t* p) const { std::memcpy(p, v, kSize); }
  static Bytes load_blocks(const std::uint8_t* const* rows, std::ptrdiff_t offset) {
    return load(rows[0] + offset);
  }
  static Bytes load_blocks(const std::uint8_t* p) { return load(p); }
  void store_blocks(std::uint8_t* const* rows, std::ptrdiff_t offset) const { store(rows[0] + offset); }
};

inline Ints add(Ints a, Ints b) {
  for (int i = 0; i < 4; ++i) a.v[i] += b.v[i];
  return a;
}
template <int kBits>
inline Ints shift_left(Ints a) {
  for (int i = 0; i < 4; ++i) a.v[i] <<= kBits;
  return a;
}
template <int kBits>
inline Ints shift_right(Ints a) {
  for (int i = 0; i < 4; ++i) a.v[i] = static_cast<std::uint32_t>(static_cast<std::int32_t>(a.v[i]) >> kBits);
  return a;
}
inline Ints dot(Words a, Words b) {
  Ints r;
  for (int i = 0; i < 4; ++i)
    r.v[i] = static_cast<std::uint32_t>(a.v[2 * i] * b.v[2 * i] + a.v[2 * i + 1] * b.v[2 * i + 1]);
  return r;
}

inline Bytes interleave(const std::uint8_t* a, const std::uint8_t* b) {
  Bytes r;
  for (int i = 0; i < 8; ++i) {
    r.v[2 * i] = a[i];
    r.v[2 * i + 1] = b[i];
  }
  return r;
}
inline Bytes interleave_low(Bytes a, Bytes b) { return interleave(a.v, b.v); }
inline Bytes interleave_high(Bytes a, Bytes b) { return interleave(a.v + 8, b.v + 8); }
inline Words widen(const std::uint8_t* a) {
  Words r;
  for (int i = 0; i < 8; ++i) r.v[i] = a[i];
  return r;
}
inline Words widen_low(Bytes a) { return widen(a.v); }
inline Words widen_high(Bytes a) { return widen(a.v + 8); }
inline Bytes narrow(Ints a, Ints b, Ints c, Ints d) {
  const Ints all[4] = {a, b, c, d};
  Bytes r;
  for (int i = 0; i < 16; ++i) {
    const auto x = static_cast<std::int32_t>(all[i / 4].v[i % 4]);
    r.v[i] = static_cast<std::uint8_t>(x < 0 ? 0 : x < 255 ? x : 255);
  }
  return r;
}

inline Words pixel_pair(const std::uint8_t* p) { return {{p[0], p[3], p[1], p[4], p[2], p[5], 0, 0}}; }
inline Words pixels_01(Bytes a) { return pixel_pair(a.v); }
inline Words pixels_23(Bytes a) { return pixel_pair(a.v + 6); }
inline Bytes drop_fourths(Bytes a) {
  Bytes r{};
  for (int i = 0; i < 12; ++i) r.v[i] = a.v[i / 3 * 4 + i % 3];
  return r;
}
template <int kChannel>
inline Ints channel(Bytes a) {
  return {{a.v[kChannel], a.v[kChannel + 3], a.v[kChannel + 6], a.v[kChannel + 9]}};
}
inline Vec to_floats(Ints a) {
  Vec r;
  for (int i = 0; i < 4; ++i) r.v[i] = static_cast<float>(static_cast<std::int32_t>(a.v[i]));
  return r;
}

/// To the nearest integer, halves to even.
inline Ints round_to_ints(Vec a) {
  Ints r;
  // In two's complement; what is no number becomes the smallest integer, as on x86.
  for (int i = 0; i < 4; ++i)
    r.v[i] = a.v[i] > -2147483648.0f && a.v[i] < 2147483648.0f
                 ? static_cast<std::uint32_t>(static_cast<std::int32_t>(__builtin_rintf(a.v[i])))
                 : 0x80000000u;
  return r;
}
/// All of a, then of b; they fit.
inline Words narrow(Ints a, Ints b) {
  Words r;
  for (int i = 0; i < 4; ++i) {
    r.v[i] = static_cast<std::int16_t>(a.v[i]);
    r.v[4 + i] = static_cast<std::int16_t>(b.v[i]);
  }
  return r;
}

#endif

}  // namespace
