#include "app/results/lock.h"

#include <sys/file.h>

#include <cerrno>
#include <system_error>

#include "app/base/log.h"

namespace mnv2::app {

Lock lock_file(int descriptor, const std::string& path) {
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return Lock::taken;
  if (errno == EWOULDBLOCK) return Lock::held;
  if (errno != ENOSYS && errno != ENOLCK && errno != EOPNOTSUPP) return Lock::failed;
  log_warning(path + ": this file system has no locks (" + std::generic_category().message(errno) +
              "): make sure that no other run writes to it");
  return Lock::taken;
}

}  // namespace mnv2::app
