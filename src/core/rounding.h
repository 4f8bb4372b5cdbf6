// Whole numbers rounded up.
#pragma once

#include <cstddef>

namespace mnv2 {

template <typename Int>
constexpr Int divide_up(Int a, Int b) {
  return (a + b - 1) / b;
}

template <typename Int>
constexpr Int round_up(Int a, Int multiple) {
  return divide_up(a, multiple) * multiple;
}

}  // namespace mnv2
