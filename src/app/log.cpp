#include "app/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace mnv2::app {
namespace {

// Made at the first message: most runs have none, and colours and locks cost start-up time.
spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("mnv2-classify",
                                                 std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%n: %^%l:%$ %v");
    made->set_level(spdlog::level::trace);  // filtered before it is made
    return made;
  }();
  return *instance;
}

Verbosity& verbosity() {
  static Verbosity level = Verbosity::normal;
  return level;
}

void log(spdlog::level::level_enum level, std::string_view message) {
  logger().log(level, printable(message));
}

}  // namespace

void set_verbosity(Verbosity level) { verbosity() = level; }

void log_error(std::string_view message, std::span<const std::string> details) {
  std::string text = printable(message);
  for (const std::string& detail : details) text.append("\n  ").append(printable(detail));
  logger().log(spdlog::level::err, text);
}

void log_failed_input(std::string_view message) {
  if (verbosity() >= Verbosity::normal) log(spdlog::level::err, message);
}

void log_warning(std::string_view message) {
  if (verbosity() >= Verbosity::normal) log(spdlog::level::warn, message);
}

void log_info(std::string_view message) {
  if (verbosity() >= Verbosity::verbose) log(spdlog::level::info, message);
}

std::string printable(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
    } else {
      out.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  return out;
}

}  // namespace mnv2::app
