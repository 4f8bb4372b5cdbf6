// Vectors of four floats for any CPU, by the compiler's vector extension.
#pragma once

#include <cstring>

namespace {

struct Vec {
  static constexpr int kLanes = 4;
  static constexpr int kAccumulators = 8;  // of a register tile: 16 registers, and products need some
  typedef float Native __attribute__((vector_size(16)));
  Native v;

  static Vec load(const float* p) {
    Vec r;
    std::memcpy(&r.v, p, sizeof(r.v));
    return r;
  }
  static Vec broadcast(const float* p) { return {Native{*p, *p, *p, *p}}; }
  static Vec set(float x) { return {Native{x, x, x, x}}; }
  void store(float* p) const { std::memcpy(p, &v, sizeof(v)); }
  /// Tells the optimiser that the value is used.
  void keep() {
#if defined(__x86_64__)
    __asm__ volatile("" : "+x"(v));
#else
    __asm__ volatile("" : "+m"(v));
#endif
  }
};

inline Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
inline Vec add(Vec a, Vec b) { return {a.v + b.v}; }
inline Vec mul(Vec a, Vec b) { return {a.v * b.v}; }
inline Vec min(Vec a, Vec b) { return {a.v < b.v ? a.v : b.v}; }
inline Vec max(Vec a, Vec b) { return {a.v > b.v ? a.v : b.v}; }

}  // namespace
