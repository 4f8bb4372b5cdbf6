// Messages for people, one line each on stderr. Results never go this way.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mnv2::app {

enum class Verbosity {
  quiet,    ///< errors that end the run only
  normal,   ///< and warnings, and inputs that failed
  verbose,  ///< and what was chosen: model, instruction set, threads
};

void set_verbosity(Verbosity verbosity);

/// Write "mnv2-classify: error: <message>" and so on. Control characters in the message (file names hold
/// anything) are shown as \xNN, so that no name can command the terminal or fake a second line; `details`
/// follow, each on an indented line of its own. Safe from any thread.
void log_error(std::string_view message, std::span<const std::string> details = {});
void log_failed_input(std::string_view message);  // "error:" too, but the run goes on
void log_warning(std::string_view message);
void log_info(std::string_view message);

/// `text` with control characters (0x00-0x1f, 0x7f) as \xNN; all else stays, also what is not UTF-8.
std::string printable(std::string_view text);

}  // namespace mnv2::app
