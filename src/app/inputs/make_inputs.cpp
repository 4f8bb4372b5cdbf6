#include "app/inputs/make_inputs.h"

#include "app/inputs/walker.h"
#include "app/log.h"

namespace mnv2::app {

std::unique_ptr<InputSource> make_inputs(const Plan& plan) {
  return std::make_unique<InputWalker>(plan.inputs, [](const std::string& message) { log_warning(message); });
}

}  // namespace mnv2::app
