#include "app/pipeline/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "app/base/format_text.h"
#include "app/base/log.h"

namespace mnv2::app {
namespace {

constexpr std::chrono::milliseconds kInterval{200};  // between two drawings

/// "0:07", "12:34", "1:02:03", "3 d 04:05"
std::string clock_time(double seconds) {
  constexpr double kLongest = 1000.0 * 86400;
  if (!(seconds < kLongest)) return "long";
  const auto total = static_cast<long>(std::ceil(std::max(0.0, seconds)));
  const long days = total / 86400, hours = total / 3600 % 24, minutes = total / 60 % 60;
  if (days > 0) return format_text("%ld d %02ld:%02ld", days, hours, minutes);
  if (hours > 0) return format_text("%ld:%02ld:%02ld", hours, minutes, total % 60);
  return format_text("%ld:%02ld", minutes, total % 60);
}

std::string rate_text(double images_per_s) {
  return format_text(images_per_s < 9.995   ? "%.2f images/s"
                     : images_per_s < 99.95 ? "%.1f images/s"
                                            : "%.0f images/s",
                     images_per_s);
}

/// "[=====>    ]", `columns` wide
std::string bar(double fraction, std::size_t columns) {
  const std::size_t inside = columns - 2;
  const auto filled = static_cast<std::size_t>(fraction * static_cast<double>(inside));
  std::string text(inside, ' ');
  std::fill_n(text.begin(), filled, '=');
  if (filled < inside) text[filled] = '>';
  return "[" + text + "]";
}

struct Part {
  std::string text = {};
  int rank = 0;  // the highest ones are left out first where there is no room
  const char* color = "";
};

constexpr char kGreen[] = "\x1b[32m";
constexpr char kBoldRed[] = "\x1b[1;31m";
constexpr std::string_view kGap = "  ";

std::size_t width(const std::vector<Part>& parts) {
  std::size_t columns = 0;
  for (const Part& part : parts) columns += part.text.size() + (columns == 0 ? 0 : kGap.size());
  return columns;
}

std::string join(const std::vector<Part>& parts, bool color) {
  std::string line;
  for (const Part& part : parts) {
    if (!line.empty()) line += kGap;
    const bool colored = color && *part.color != '\0';
    line += colored ? part.color + part.text + "\x1b[0m" : part.text;
  }
  return line;
}

/// Columns of the terminal at stderr; of $COLUMNS or 80 where it does not say.
std::size_t terminal_columns() {
  constexpr std::size_t kUsual = 80;
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const int given = columns == nullptr ? 0 : std::atoi(columns);
  return given > 0 ? static_cast<std::size_t>(given) : kUsual;
}

}  // namespace

std::string format_progress(const Progress& progress, std::size_t columns, bool color) {
  const std::size_t total = std::max(progress.found, progress.done);  // a folder may grow meanwhile
  const double fraction = total == 0 ? 0 : static_cast<double>(progress.done) / static_cast<double>(total);

  std::vector<Part> parts;
  std::string count = std::to_string(progress.done);
  if (progress.all_found) {
    count += "/" + std::to_string(total);
  } else {
    count +=
        progress.found > progress.done ? " of " + std::to_string(progress.found) + " or more" : " images";
  }
  parts.push_back({.text = count, .rank = 0});
  // Rounded down: 100 % is all.
  if (progress.all_found)
    parts.push_back({.text = format_text("%d %%", static_cast<int>(100 * fraction)), .rank = 4});
  parts.push_back({.text = rate_text(progress.images_per_s), .rank = 3});
  if (progress.all_found && progress.images_per_s > 0) {
    const auto left = static_cast<double>(total - progress.done);
    parts.push_back({.text = "ETA " + clock_time(left / progress.images_per_s), .rank = 2});
  } else {
    parts.push_back({.text = clock_time(std::floor(progress.elapsed_s)), .rank = 5});
  }
  if (progress.failed > 0) {
    parts.push_back({.text = std::to_string(progress.failed) + (progress.failed == 1 ? " error" : " errors"),
                     .rank = 1,
                     .color = kBoldRed});
  }
  while (parts.size() > 1 && width(parts) > columns)
    parts.erase(std::max_element(parts.begin(), parts.end(),
                                 [](const Part& a, const Part& b) { return a.rank < b.rank; }));
  if (width(parts) > columns) return count.substr(0, columns);

  constexpr std::size_t kShortestBar = 10, kLongestBar = 40;
  const std::size_t used = width(parts) + kGap.size();
  if (progress.all_found && used + kShortestBar <= columns) {
    parts.insert(parts.begin(),
                 {.text = bar(fraction, std::min(kLongestBar, columns - used)), .color = kGreen});
  }
  return join(parts, color);
}

std::string format_closing_line(std::size_t images, std::size_t failed, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(images) / seconds : 0;
  std::string line = std::to_string(images) + (images == 1 ? " image in " : " images in ");
  line += seconds < 59.95 ? format_text("%.1f s", seconds) : clock_time(seconds);
  line += ", " + format_text(rate < 9.95 ? "%.1f/s" : "%.0f/s", rate);
  if (failed > 0) line += ", " + std::to_string(failed) + (failed == 1 ? " error" : " errors");
  return line;
}

double RateMeter::update(double time_s, std::size_t done) {
  constexpr double kWindow_s = 10;
  samples_.push_back({time_s, done});
  while (samples_.size() > 2 && samples_[1].time_s <= time_s - kWindow_s) samples_.pop_front();
  const Sample& first = samples_.front();
  const double seconds = time_s - first.time_s;
  return seconds > 0 ? static_cast<double>(done - first.done) / seconds : 0;
}

ProgressSink::ProgressSink(Settings settings) : settings_(std::move(settings)) {
  try {
    drawer_ = std::thread([this] { draw_until_stopped(); });
    if (settings_.open_inputs) counter_ = std::thread([this] { count(); });
  } catch (const std::system_error&) {  // no more threads: the run matters more
  }
}

void ProgressSink::take(const Result& result) {
  done_.fetch_add(1, std::memory_order_relaxed);
  if (result.record.error) failed_.fetch_add(1, std::memory_order_relaxed);
}

void ProgressSink::count() {
  try {
    const std::unique_ptr<InputSource> inputs = settings_.open_inputs();
    std::size_t found = 0;
    while (!stopped_) {
      const std::optional<Input> input = inputs->next();
      if (!input) break;
      if (input->member) {  // to count what is in archives would take as long as the run
        found_ = 0;
        return;
      }
      ++found;
      found_ = found - std::min(found, settings_.skipped);
    }
    all_found_ = !stopped_;
  } catch (const std::exception&) {  // whoever walks over them for the run tells
    found_ = 0;
  }
}

void ProgressSink::draw_until_stopped() {
  RateMeter rate;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kInterval, [this] { return stopped_.load(); })) draw(rate);
}

void ProgressSink::draw(RateMeter& rate) const {
  Progress progress{.done = done_, .failed = failed_, .found = found_, .all_found = all_found_};
  progress.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  progress.images_per_s = rate.update(progress.elapsed_s, progress.done);
  if (!settings_.also_few && std::max(progress.done, progress.found) <= kHandful) return;
  // The last column stays free: some terminals go to the next line once it is written.
  show_status(format_progress(progress, std::max<std::size_t>(terminal_columns(), 2) - 1, uses_color()));
}

void ProgressSink::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  if (drawer_.joinable()) drawer_.join();
  if (counter_.joinable()) counter_.join();
  show_status("");
}

}  // namespace mnv2::app
