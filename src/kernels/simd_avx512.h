// Vectors of sixteen floats: AVX-512 F.
#pragma once

// GCC up to 13 takes the deliberately undefined operands inside its own intrinsics for mistakes (GCC bug
// 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

struct Vec {
  static constexpr int kLanes = 16;
  static constexpr int kRegisters = 32;
  static constexpr int kAccumulators = 28;  // of a register tile
  static constexpr bool kFuses = true;      // a multiply-add rounds once
  static constexpr bool kAddsInPlace = false;
  __m512 v;

  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec set(float x) { return {_mm512_set1_ps(x)}; }
  /// The two floats at p, over and over.
  static Vec load_pair(const float* p) {
    double pair;
    std::memcpy(&pair, p, sizeof(pair));
    return {_mm512_castpd_ps(_mm512_set1_pd(pair))};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  /// Tells the optimiser that the value is used.
  void keep() { __asm__ volatile("" : "+v"(v)); }
};

inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec fused_fma(Vec a, Vec b, Vec c) { return fma(a, b, c); }
inline Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }

/// The sums of neighbouring lanes: those of a, then those of b.
inline Vec add_pairs(Vec a, Vec b) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return {_mm512_add_ps(_mm512_permutex2var_ps(a.v, even, b.v), _mm512_permutex2var_ps(a.v, odd, b.v))};
}

/// The largest of neighbouring lanes: those of a, then those of b.
inline Vec max_pairs(Vec a, Vec b) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return {_mm512_max_ps(_mm512_permutex2var_ps(a.v, even, b.v), _mm512_permutex2var_ps(a.v, odd, b.v))};
}
inline float largest_lane(Vec a) {
  __m256 half = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 r = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  r = _mm_max_ps(r, _mm_movehl_ps(r, r));
  return _mm_cvtss_f32(_mm_max_ss(r, _mm_movehdup_ps(r)));
}

/// To the nearest bfloat16, halves to even.
inline Vec round_to_bf16(Vec a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i sum = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  return {_mm512_castsi512_ps(_mm512_and_si512(sum, _mm512_set1_epi32(-0x10000)))};
}

inline Vec negated_fma(Vec a, Vec b, Vec c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }  // c - a * b

/// A float to be multiplied with whole vectors.
struct Factors {
  static constexpr int kCount = 1;
  Vec v;

  static Factors load(const float* p) { return {{_mm512_set1_ps(*p)}}; }
  static Factors load_one(const float* p) { return load(p); }

  /// *p * b + c, where the multiply-add itself reads and broadcasts *p: one operation for the front end less, one load
  /// more for each use after the first. Left to itself the compiler would load the factor once for all its uses.
  static Vec fma(const float* p, Vec b, Vec c) {
    __asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(c.v) : "v"(b.v), "m"(*p));
    return c;
  }
};

/// In assembly, because GCC likes the forms that overwrite the factor and then moves and spills accumulators.
inline Vec fma(Factors a, int, Vec b, Vec c) {
  __asm__("vfmadd231ps %2, %1, %0" : "+v"(c.v) : "v"(b.v), "v"(a.v.v));
  return c;
}

/// Two channels of a pixel for two vectors of outputs: acc[n] += (x[0] + weight[1][n]) * (x[1] + weight[0][n]). In one
/// piece of assembly, because the 24 accumulators of a tile, four weights and these four make 32 registers.
inline void fma_pair(const float* x, const Vec (&weight)[2][2], Vec (&acc)[2]) {
  __m512 a, b, c, d;
  __asm__(
      "vbroadcastss %[x0], %[a]\n\t"
      "vbroadcastss %[x1], %[b]\n\t"
      "vaddps %[w10], %[a], %[c]\n\t"
      "vaddps %[w00], %[b], %[d]\n\t"
      "vaddps %[w11], %[a], %[a]\n\t"
      "vaddps %[w01], %[b], %[b]\n\t"
      "vfmadd231ps %[c], %[d], %[sum0]\n\t"
      "vfmadd231ps %[a], %[b], %[sum1]"
      : [sum0] "+v"(acc[0].v), [sum1] "+v"(acc[1].v), [a] "=&v"(a), [b] "=&v"(b), [c] "=&v"(c), [d] "=&v"(d)
      : [x0] "m"(x[0]), [x1] "m"(x[1]), [w00] "v"(weight[0][0].v), [w01] "v"(weight[0][1].v),
        [w10] "v"(weight[1][0].v), [w11] "v"(weight[1][1].v));
}

/// Lane 2 i + 1 of x in lane 2 i for i < pairs, zero in all other lanes.
inline Vec second_of_pairs(Vec x, int pairs) {
  const auto lanes = static_cast<__mmask16>(0x5555 & ((1 << 2 * pairs) - 1));
  return {_mm512_maskz_movehdup_ps(lanes, x.v)};
}

// Integer vectors for pixels. All operations stay within blocks of 16 bytes, so the same code serves any
// width.

struct Ints {
  __m512i v;  // [16] of 32 bits

  static Ints set(int x) { return {_mm512_set1_epi32(x)}; }
  void keep() { __asm__ volatile("" : "+v"(v)); }
  static Ints load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
};

struct Words {
  __m512i v;  // [32] of 16 bits

  /// The two words at p, over and over.
  static Words broadcast_pair(const std::int16_t* p) {
    int pair;
    std::memcpy(&pair, p, sizeof(pair));
    return {_mm512_set1_epi32(pair)};
  }
  static Words load(const std::int16_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(std::int16_t* p) const { _mm512_storeu_si512(p, v); }
};

struct Bytes {
  static constexpr int kSize = 64;
  static constexpr int kBlocks = 4;
  __m512i v;

  static Bytes load(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(std::uint8_t* p) const { _mm512_storeu_si512(p, v); }

  /// A block from each of kBlocks rows.
  static Bytes load_blocks(const std::uint8_t* const* rows, std::ptrdiff_t offset) {
    return load_blocks(rows[0] + offset, rows[1] + offset, rows[2] + offset, rows[3] + offset);
  }
  /// kBlocks blocks that overlap: each begins 12 bytes, four pixels, after the one before.
  static Bytes load_blocks(const std::uint8_t* p) { return load_blocks(p, p + 12, p + 24, p + 36); }
  static Bytes load_blocks(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                           const std::uint8_t* d) {
    __m512i r = _mm512_castsi128_si512(load_block(a));
    r = _mm512_inserti32x4(r, load_block(b), 1);
    r = _mm512_inserti32x4(r, load_block(c), 2);
    return {_mm512_inserti32x4(r, load_block(d), 3)};
  }
  /// A block to each of kBlocks rows.
  void store_blocks(std::uint8_t* const* rows, std::ptrdiff_t offset) const {
    store_block(rows[0] + offset, block<0>());
    store_block(rows[1] + offset, block<1>());
    store_block(rows[2] + offset, block<2>());
    store_block(rows[3] + offset, block<3>());
  }

 private:
  template <int kBlock>
  __m128i block() const {
    return _mm512_extracti32x4_epi32(v, kBlock);
  }
  static __m128i load_block(const std::uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static void store_block(std::uint8_t* p, __m128i x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
};

inline Ints add(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
template <int kBits>
inline Ints shift_left(Ints a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
/// Keeps the sign.
template <int kBits>
inline Ints shift_right(Ints a) {
  return {_mm512_srai_epi32(a.v, kBits)};
}
/// a[2i] * b[2i] + a[2i + 1] * b[2i + 1]
inline Ints dot(Words a, Words b) { return {_mm512_madd_epi16(a.v, b.v)}; }

/// Per block: a0 b0 a1 b1 ... of the low or the high eight bytes.
inline Bytes interleave_low(Bytes a, Bytes b) { return {_mm512_unpacklo_epi8(a.v, b.v)}; }
inline Bytes interleave_high(Bytes a, Bytes b) { return {_mm512_unpackhi_epi8(a.v, b.v)}; }
/// Per block: the low or the high eight bytes as words.
inline Words widen_low(Bytes a) { return {_mm512_unpacklo_epi8(a.v, _mm512_setzero_si512())}; }
inline Words widen_high(Bytes a) { return {_mm512_unpackhi_epi8(a.v, _mm512_setzero_si512())}; }
/// Per block: the four ints of a, then of b, c and d, clipped to 0..255.
inline Bytes narrow(Ints a, Ints b, Ints c, Ints d) {
  return {_mm512_packus_epi16(_mm512_packs_epi32(a.v, b.v), _mm512_packs_epi32(c.v, d.v))};
}

inline Bytes shuffle(Bytes a, __m128i order) {
  return {_mm512_shuffle_epi8(a.v, _mm512_broadcast_i32x4(order))};
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
inline Vec to_floats(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }

/// To the nearest integer, halves to even.
inline Ints round_to_ints(Vec a) { return {_mm512_cvtps_epi32(a.v)}; }
/// All of a, then of b; they fit.
inline Words narrow(Ints a, Ints b) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  return {_mm512_permutexvar_epi64(order, _mm512_packs_epi32(a.v, b.v))};
}
/// The bytes of narrow(a, b, c, d) in the order of a, then b, c and d.
inline Bytes in_order(Bytes a) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return {_mm512_permutexvar_epi32(order, a.v)};
}

}  // namespace
