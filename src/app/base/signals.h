// Requests to stop: SIGINT and SIGTERM.
#pragma once

namespace mnv2::app {

/// From now on SIGINT and SIGTERM are noted instead of ending the process, unless they are ignored (nohup,
/// background jobs); the second one ends it as usual. SIGPIPE and SIGXFSZ are ignored: a closed pipe
/// and a limit of file sizes are found when writing.
void install_signal_handlers();

/// The number of the signal that asked to stop, 0 if none did.
int stop_signal();

/// Waits until `descriptor` can be read, however long that takes. @return false when the wait was ended by a
/// stop signal or by end_waiting(), before or meanwhile.
bool wait_readable(int descriptor);

/// Thrown out of a wait that a stop signal ended, where there is nothing to finish yet.
struct Stopped {};

/// Opens `path` as open(2) does, for reading or for writing. A FIFO is waited for until the other side is there - for
/// reading also until there is something to read -, and a stop signal ends the wait.
/// @return the descriptor, blocking, or -1 with errno
/// @throws Stopped
int open_interruptibly(const char* path, int flags);

/// Ends the process by `signal` as if it had never been caught, so that a shell that runs it in a loop sees that it was
/// stopped. Returns where the signal is blocked.
void die_of(int signal);

/// Ends what waits in wait_readable(), now and from now on: nobody takes what could still come.
void end_waiting();

}  // namespace mnv2::app
