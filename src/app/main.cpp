#include <exception>
#include <new>

#include "app/base/exit_status.h"
#include "app/base/log.h"
#include "app/base/signals.h"
#include "app/run/run.h"

int main(int argc, char** argv) {
  using namespace mnv2::app;
  try {
    const int status = run(argc, argv);
    if (status > kExitSignalBase) die_of(status - kExitSignalBase);
    return status;
  } catch (const std::bad_alloc&) {
    log_error("out of memory");
  } catch (const std::exception& e) {
    log_error(e.what());
  }
  return kExitFailed;
}
