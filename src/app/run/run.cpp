#include "app/run/run.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "app/base/exit_status.h"
#include "app/base/log.h"
#include "app/base/signals.h"
#include "app/base/usage_error.h"
#include "app/cli/options.h"
#include "app/cli/plan.h"
#include "app/image/decoder_version.h"
#include "app/results/output.h"
#include "app/run/modes.h"
#include "mnv2/error.h"
#include "mnv2/version.h"

namespace mnv2::app {
namespace {

/// A closed standard descriptor would be given to the next file that is opened, and results written into it.
void occupy_standard_descriptors() {
  while (true) {
    const int descriptor = open("/dev/null", O_RDONLY);  // writing to it stays an error
    if (descriptor > STDERR_FILENO || descriptor < 0) {
      if (descriptor >= 0) close(descriptor);
      return;
    }
  }
}

std::string version_text(Isa chosen, Precision precision) {
  std::string compiled;
  for (const Isa isa : compiled_isas()) compiled.append(compiled.empty() ? "" : ", ").append(isa_name(isa));
  return "mnv2-classify " MNV2_VERSION_STRING "\ninstruction sets: " + compiled +
         "; chosen: " + std::string(isa_name(chosen)) +
         "\nprecision: " + std::string(precision_name(precision)) +
         "; fast: " + std::string(precision_name(fast_precision(chosen))) +
         "\nimage decoder: " + image::decoder_version() + "\n";
}

}  // namespace

int run(int argc, char** argv) {
  occupy_standard_descriptors();
  install_signal_handlers();
  Output output(STDOUT_FILENO);
  try {
    const Options options = parse_options({argv + std::min(argc, 1), argv + argc});
    set_verbosity(options.verbosity);
    set_color(options.color);
    if (options.help) return print(*options.help, output);
    const Environment environment = this_environment();
    if (options.version) {
      const Isa isa = choose_isa(options, environment);
      return print(version_text(isa, choose_precision(options, isa)), output);
    }
    return run_plan(make_plan(options, environment), output);
  } catch (const UsageError& e) {
    log_error(e.what());
    return kExitUsage;
  } catch (const Error& e) {  // those of models and of images end elsewhere: an output cannot be opened
    log_error(e.what());
    return kExitOutput;
  } catch (const Stopped&) {
    return kExitSignalBase + stop_signal();
  }
}

}  // namespace mnv2::app
