// Between the workers and the thread that writes: inputs handed out, results taken back.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <vector>

#include "app/inputs/source.h"
#include "app/pipeline/order.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// Hands out inputs by number and takes back results, with so much room that a slow image does not keep the
/// others waiting at once, and no more: memory does not grow with the number of inputs.
class Exchange {
 public:
  /// @param window how many inputs may be out or waiting to be written at once.
  Exchange(InputSource& inputs, std::size_t window, Order order)
      : inputs_(inputs), order_(order), results_(window) {}

  struct Job {
    std::size_t number = 0;
    Input input;
  };

  /// For workers: the next input, or nothing when there is no more or the run is to stop. Waits for room, also
  /// in memory for what is no file.
  std::optional<Job> take();

  /// For workers: the result of job `number`.
  void put(std::size_t number, Result result);

  /// For the writing thread: the next result, or nothing when all are written. Waits for it.
  std::optional<Result> next();

  /// No more inputs; what has been taken is still to be put.
  void stop();

  /// For workers: what keeps one from putting a result. The run ends; rethrow() tells.
  void fail(std::exception_ptr failure);

  /// For the writing thread, after the workers have ended.
  void rethrow() const;

  /// Whether the source ran dry before stop() or fail(); a signal makes it so, too.
  bool exhausted() const { return exhausted_; }

 private:
  void count_content(Input& input);

  std::mutex input_mutex_;  // taken before mutex_
  InputSource& inputs_;
  const Order order_;

  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable ready_;
  std::size_t content_bytes_ = 0;               // of inputs and results that hold their file's bytes
  std::vector<std::optional<Result>> results_;  // the n-th, by order_, at n modulo the size
  std::size_t taken_ = 0;                       // jobs handed out
  std::size_t put_ = 0;                         // results put
  std::size_t written_ = 0;                     // results given to the writing thread
  bool stopped_ = false;
  bool exhausted_ = false;
  std::exception_ptr failure_;
};

}  // namespace mnv2::app
