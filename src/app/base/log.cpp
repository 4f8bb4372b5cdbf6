#include "app/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace mnv2::app {
namespace {

Verbosity& verbosity() {
  static Verbosity level = Verbosity::normal;
  return level;
}

Color& color() {
  static Color mode = Color::automatic;
  return mode;
}

spdlog::color_mode color_mode() {
  if (color() != Color::automatic)
    return color() == Color::always ? spdlog::color_mode::always : spdlog::color_mode::never;
  const char* no_color = std::getenv("NO_COLOR");
  const bool refused = no_color != nullptr && *no_color != '\0';
  return refused ? spdlog::color_mode::never : spdlog::color_mode::automatic;
}

/// stderr, shared by messages and the status line.
struct Channel {
  std::mutex mutex;  // for all of it
  std::shared_ptr<spdlog::sinks::stderr_color_sink_mt> sink;
  spdlog::logger logger;
  std::string status;  // the line that is shown

  Channel()
      : sink(std::make_shared<spdlog::sinks::stderr_color_sink_mt>(color_mode())),
        logger("mnv2-classify", sink) {
    logger.set_pattern("%n: %^%l:%$ %v");
    logger.set_level(spdlog::level::trace);  // filtered before it is made
  }

  void draw_status() const { std::fputs(("\r" + status + "\x1b[K").c_str(), stderr); }

  void erase_status() const {
    if (!status.empty()) std::fputs("\r\x1b[K", stderr);
  }

  void write(spdlog::level::level_enum level, const std::string& text) {
    const std::scoped_lock lock(mutex);
    erase_status();
    logger.log(level, text);
    if (!status.empty()) draw_status();
  }
};

// Made at the first message: most runs have none, and colours and locks cost start-up time.
Channel& channel() {
  static Channel instance;
  return instance;
}

std::atomic<bool>& has_had_status() {
  static std::atomic<bool> yes = false;
  return yes;
}

void log(spdlog::level::level_enum level, std::string_view message) {
  channel().write(level, printable(message));
}

}  // namespace

void set_verbosity(Verbosity level) { verbosity() = level; }

void set_color(Color mode) { color() = mode; }

bool uses_color() { return channel().sink->should_color(); }

void show_status(std::string_view line) {
  has_had_status() = true;
  Channel& stderr_channel = channel();
  const std::scoped_lock lock(stderr_channel.mutex);
  if (line.empty()) stderr_channel.erase_status();
  stderr_channel.status = line;
  if (!line.empty()) stderr_channel.draw_status();
}

void write_without_status(const std::function<void()>& write) {
  if (!has_had_status()) return write();
  Channel& stderr_channel = channel();
  const std::scoped_lock lock(stderr_channel.mutex);
  stderr_channel.erase_status();
  stderr_channel.status.clear();
  write();
}

void log_error(std::string_view message, std::span<const std::string> details) {
  std::string text = printable(message);
  for (const std::string& detail : details) text.append("\n  ").append(printable(detail));
  channel().write(spdlog::level::err, text);
}

void log_failed_input(std::string_view message) {
  if (verbosity() >= Verbosity::normal) log(spdlog::level::err, message);
}

void log_warning(std::string_view message) {
  if (verbosity() >= Verbosity::normal) log(spdlog::level::warn, message);
}

void log_note(std::string_view message) { log(spdlog::level::info, message); }

void log_info(std::string_view message) {
  if (verbosity() >= Verbosity::verbose) log(spdlog::level::info, message);
}

std::string printable(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  const auto byte_at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int byte = byte_at(i);
    const bool begins_c1 = byte == 0xc2 && byte_at(i + 1) >= 0x80 && byte_at(i + 1) < 0xa0;
    const bool ends_c1 = byte >= 0x80 && byte < 0xa0 && i > 0 && byte_at(i - 1) == 0xc2;
    if (byte >= 0x20 && byte != 0x7f && !begins_c1 && !ends_c1) {
      out += text[i];
    } else {
      out.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  return out;
}

}  // namespace mnv2::app
