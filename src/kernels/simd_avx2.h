// Vectors of eight floats: AVX2 and FMA.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

struct Vec {
  static constexpr int kLanes = 8;
  static constexpr int kRegisters = 16;
  static constexpr int kAccumulators = 12;  // of a register tile
  static constexpr bool kFuses = true;      // a multiply-add rounds once
  static constexpr bool kAddsInPlace = false;
  __m256 v;

  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec set(float x) { return {_mm256_set1_ps(x)}; }
  /// The two floats at p, over and over.
  static Vec load_pair(const float* p) {
    double pair;
    std::memcpy(&pair, p, sizeof(pair));
    return {_mm256_castpd_ps(_mm256_set1_pd(pair))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  /// Tells the optimiser that the value is used.
  void keep() { __asm__ volatile("" : "+x"(v)); }
};

inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec fused_fma(Vec a, Vec b, Vec c) { return fma(a, b, c); }
inline Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }

/// The sums of neighbouring lanes: those of a, then those of b.
inline Vec add_pairs(Vec a, Vec b) {
  const __m256d sums = _mm256_castps_pd(_mm256_hadd_ps(a.v, b.v));  // per half: two of a, two of b
  return {_mm256_castpd_ps(_mm256_permute4x64_pd(sums, 0b11'01'10'00))};
}

inline float largest_lane(Vec a) {
  __m128 r = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  r = _mm_max_ps(r, _mm_movehl_ps(r, r));
  return _mm_cvtss_f32(_mm_max_ss(r, _mm_movehdup_ps(r)));
}

/// To the nearest bfloat16, halves to even.
inline Vec round_to_bf16(Vec a) {
  const __m256i bits = _mm256_castps_si256(a.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  return {_mm256_castsi256_ps(_mm256_and_si256(sum, _mm256_set1_epi32(-0x10000)))};
}

inline Vec negated_fma(Vec a, Vec b, Vec c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }  // c - a * b

/// A float to be multiplied with whole vectors.
struct Factors {
  static constexpr int kCount = 1;
  Vec v;

  static Factors load(const float* p) { return {{_mm256_broadcast_ss(p)}}; }
  static Factors load_one(const float* p) { return load(p); }
};

inline Vec fma(Factors a, int, Vec b, Vec c) { return fma(a.v, b, c); }

// Integer vectors for pixels. All operations stay within blocks of 16 bytes, so the same code serves any
// width.

struct Ints {
  __m256i v;  // [8] of 32 bits

  static Ints set(int x) { return {_mm256_set1_epi32(x)}; }
  void keep() { __asm__ volatile("" : "+x"(v)); }
  static Ints load(const std::int32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
};

struct Words {
  __m256i v;  // [16] of 16 bits

  /// The two words at p, over and over.
  static Words broadcast_pair(const std::int16_t* p) {
    int pair;
    std::memcpy(&pair, p, sizeof(pair));
    return {_mm256_set1_epi32(pair)};
  }
  static Words load(const std::int16_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  void store(std::int16_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
};

struct Bytes {
  static constexpr int kSize = 32;
  static constexpr int kBlocks = 2;
  __m256i v;

  static Bytes load(const std::uint8_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  void store(std::uint8_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }

  /// A block from each of kBlocks rows.
  static Bytes load_blocks(const std::uint8_t* const* rows, std::ptrdiff_t offset) {
    return load_blocks(rows[0] + offset, rows[1] + offset);
  }
  /// kBlocks blocks that overlap: each begins 12 bytes, four pixels, after the one before.
  static Bytes load_blocks(const std::uint8_t* p) { return load_blocks(p, p + 12); }
  static Bytes load_blocks(const std::uint8_t* a, const std::uint8_t* b) {
    return {_mm256_inserti128_si256(_mm256_castsi128_si256(load_block(a)), load_block(b), 1)};
  }
  /// A block to each of kBlocks rows.
  void store_blocks(std::uint8_t* const* rows, std::ptrdiff_t offset) const {
    store_block(rows[0] + offset, _mm256_castsi256_si128(v));
    store_block(rows[1] + offset, _mm256_extracti128_si256(v, 1));
  }

 private:
  static __m128i load_block(const std::uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static void store_block(std::uint8_t* p, __m128i x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
};

inline Ints add(Ints a, Ints b) { return {_mm256_add_epi32(a.v, b.v)}; }
template <int kBits>
inline Ints shift_left(Ints a) {
  return {_mm256_slli_epi32(a.v, kBits)};
}
/// Keeps the sign.
template <int kBits>
inline Ints shift_right(Ints a) {
  return {_mm256_srai_epi32(a.v, kBits)};
}
/// a[2i] * b[2i] + a[2i + 1] * b[2i + 1]
inline Ints dot(Words a, Words b) { return {_mm256_madd_epi16(a.v, b.v)}; }

/// Per block: a0 b0 a1 b1 ... of the low or the high eight bytes.
inline Bytes interleave_low(Bytes a, Bytes b) { return {_mm256_unpacklo_epi8(a.v, b.v)}; }
inline Bytes interleave_high(Bytes a, Bytes b) { return {_mm256_unpackhi_epi8(a.v, b.v)}; }
/// Per block: the low or the high eight bytes as words.
inline Words widen_low(Bytes a) { return {_mm256_unpacklo_epi8(a.v, _mm256_setzero_si256())}; }
inline Words widen_high(Bytes a) { return {_mm256_unpackhi_epi8(a.v, _mm256_setzero_si256())}; }
/// Per block: the four ints of a, then of b, c and d, clipped to 0..255.
inline Bytes narrow(Ints a, Ints b, Ints c, Ints d) {
  return {_mm256_packus_epi16(_mm256_packs_epi32(a.v, b.v), _mm256_packs_epi32(c.v, d.v))};
}

inline Bytes shuffle(Bytes a, __m128i order) {
  return {_mm256_shuffle_epi8(a.v, _mm256_broadcastsi128_si256(order))};
}
/// Per block of interleaved pixels: r0 r1 g0 g1 b0 b1 and two words without meaning.
inline Words pixels_01(Bytes a) {
  return {shuffle(a, _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1)).v};
}
/// The same of pixels 2 and 3.
inline Words pixels_23(Bytes a) {
  return {shuffle(a, _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1)).v};
}
/// Per block of four pixels of four bytes: their first three bytes, then four without meaning.
inline Bytes drop_fourths(Bytes a) {
  return shuffle(a, _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
}
/// Per block of interleaved pixels: one channel of the first four.
template <int kChannel>
inline Ints channel(Bytes a) {
  constexpr char c = kChannel;
  return {
      shuffle(a, _mm_setr_epi8(c, -1, -1, -1, c + 3, -1, -1, -1, c + 6, -1, -1, -1, c + 9, -1, -1, -1)).v};
}
inline Vec to_floats(Ints a) { return {_mm256_cvtepi32_ps(a.v)}; }

/// To the nearest integer, halves to even.
inline Ints round_to_ints(Vec a) { return {_mm256_cvtps_epi32(a.v)}; }
/// All of a, then of b; they fit.
inline Words narrow(Ints a, Ints b) {
  return {_mm256_permute4x64_epi64(_mm256_packs_epi32(a.v, b.v), 0b11'01'10'00)};
}
/// The bytes of narrow(a, b, c, d) in the order of a, then b, c and d.
inline Bytes in_order(Bytes a) {
  return {_mm256_permutevar8x32_epi32(a.v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))};
}

}  // namespace
