// Messages for people, one line each on stderr, and the line of status below them. Results never go this way.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace mnv2::app {

enum class Verbosity {
  quiet,    ///< errors that end the run only
  normal,   ///< and warnings, and inputs that failed
  verbose,  ///< and what was chosen: model, instruction set, threads
};

void set_verbosity(Verbosity level);

enum class Color {
  automatic,  ///< where stderr is a terminal that has them, and NO_COLOR (https://no-color.org) is not set
  always,
  never,
};

void set_color(Color mode);
bool uses_color();

/// Write "mnv2-classify: error: <message>" and so on. Control characters in the message (file names hold
/// anything) are shown as \xNN, so that no name can command the terminal or fake a second line; `details`
/// follow, each on an indented line of its own. Safe from any thread.
void log_error(std::string_view message, std::span<const std::string> details = {});
void log_failed_input(std::string_view message);  // "error:" too, but the run goes on
void log_warning(std::string_view message);
void log_info(std::string_view message);

/// As log_info(), whatever the verbosity: the last words to people who watch.
void log_note(std::string_view message);

/// Shows `line`, of visible characters and colours, as the last one on stderr, in place of the one before;
/// messages appear above it. Empty: none. Safe from any thread.
void show_status(std::string_view line);

/// Calls `write`, which writes to the terminal that stderr may be, with the status line and messages out of
/// its way. The line is back at the next show_status().
void write_without_status(const std::function<void()>& write);

/// `text` with control characters (0x00-0x1f, 0x7f and, in UTF-8, U+0080-U+009F, which some terminals obey) as
/// \xNN; all else stays, also what is not UTF-8.
std::string printable(std::string_view text);

}  // namespace mnv2::app
