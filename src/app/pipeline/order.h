// In which order results come out.
#pragma once

namespace mnv2::app {

enum class Order {
  inputs,      ///< as the inputs were handed out, whatever each of them took
  completion,  ///< as they are done
};

}  // namespace mnv2::app
