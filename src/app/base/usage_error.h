// What the user got wrong.
#pragma once

#include <stdexcept>

namespace mnv2::app {

/// The command line, the environment or a file that they name asks for what cannot be. Exit status 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mnv2::app
