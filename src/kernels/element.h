// What a tensor holds, and how it lies in memory: in blocks of one vector of bytes.
#pragma once

#include <cstddef>

namespace mnv2::kernels {

/// The type of a tensor's values.
enum class Element {
  f32,   // IEEE binary32
  bf16,  // the upper half of one
  u8,
  s8,
  s32,
};

constexpr int element_bytes(Element element) {
  switch (element) {
    case Element::f32:
    case Element::s32: return 4;
    case Element::bf16: return 2;
    case Element::u8:
    case Element::s8: break;
  }
  return 1;
}

}  // namespace mnv2::kernels
