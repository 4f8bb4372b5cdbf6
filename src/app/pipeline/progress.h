// --progress: how far the run is, as the last line on stderr.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "app/inputs/source.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// What the line tells.
struct Progress {
  std::size_t done = 0;
  std::size_t failed = 0;  // of these
  std::size_t found = 0;   // inputs counted so far, 0 where they cannot be counted
  bool all_found = false;  // `found` is all there are
  double elapsed_s = 0;
  double images_per_s = 0;  // of late
};

/// The line, at most `columns` characters wide (colours not counted): first what does not fit is left out.
std::string format_progress(const Progress& progress, std::size_t columns, bool color);

/// How a run went: "300 images in 2.6 s, 115/s, 2 errors".
std::string format_closing_line(std::size_t images, std::size_t failed, double seconds);

/// So many images are done before anybody looks.
inline constexpr std::size_t kHandful = 5;

/// A rate that follows what happens, over the last ten seconds: the first images of a run are slow, and
/// folders differ.
class RateMeter {
 public:
  /// `done` images at `time_s`, which grows from call to call. @return images per second
  double update(double time_s, std::size_t done);

 private:
  struct Sample {
    double time_s = 0;
    std::size_t done = 0;
  };
  std::deque<Sample> samples_{Sample{}};
};

/// Shows progress a few times a second, from a thread of its own; another one counts the inputs.
class ProgressSink : public Sink {
 public:
  struct Settings {
    /// Opens the inputs once more, to be counted; empty when they can be read only once (a list on stdin).
    std::function<std::unique_ptr<InputSource>()> open_inputs = {};
    bool also_few = false;    // show it for a handful of images, too
    std::size_t skipped = 0;  // how many of them have been dealt with by an earlier run
  };

  explicit ProgressSink(Settings settings);
  ~ProgressSink() override { stop(); }

  void take(const Result& result) override;
  void finish(Ending) override { stop(); }

 private:
  void count();
  void draw_until_stopped();
  void draw(RateMeter& rate) const;
  void stop();

  const Settings settings_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::atomic<std::size_t> done_ = 0;
  std::atomic<std::size_t> failed_ = 0;
  std::atomic<std::size_t> found_ = 0;
  std::atomic<bool> all_found_ = false;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopped_ = false;  // written with mutex_
  std::thread drawer_;
  std::thread counter_;
};

}  // namespace mnv2::app
