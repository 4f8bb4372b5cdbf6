// Checks on what a function throws.
#pragma once

#include <string>

#include "mnv2/error.h"
#include "support/catch.h"

namespace mnv2::test {

/// The message of the Error{code} that `function` must throw.
template <typename Function>
std::string error_message(ErrorCode code, const Function& function) {
  try {
    function();
  } catch (const Error& e) {
    INFO(e.what());
    CHECK(error_code_name(e.code()) == error_code_name(code));
    return e.what();
  }
  FAIL("expected Error{" << error_code_name(code) << "}, nothing was thrown");
  return {};
}

}  // namespace mnv2::test
