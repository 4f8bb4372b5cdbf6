// The program: from the command line to the exit status.
#pragma once

namespace mnv2::app {

/// @return the exit status (exit_status.h).
int run(int argc, char** argv);

}  // namespace mnv2::app
