// Keeping runs apart that write to the same file.
#pragma once

#include <string>

namespace mnv2::app {

enum class Lock {
  taken,
  held,    ///< by another run
  failed,  ///< errno tells
};

/// Locks the open file until it is closed. Where the file system knows no locks (Lustre without them, some FUSE ones), a
/// warning says so, and the run goes on as if it had one.
/// @param path for the warning.
Lock lock_file(int descriptor, const std::string& path);

}  // namespace mnv2::app
