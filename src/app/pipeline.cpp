#include "app/pipeline.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "app/classifier.h"
#include "app/inputs.h"
#include "app/log.h"
#include "app/signals.h"
#include "app/writer.h"

namespace mnv2::app {
namespace {

/// A record as text, and what the run has to know about it.
struct Result {
  std::string text;
  std::string failure;  // for stderr; empty when all is well
};

Result to_result(const Record& record, Layout layout) {
  return {format_record(record, layout), record.error ? record.path + ": " + record.error->message : ""};
}

Result classify_to_result(Classifier& classifier, const Input& input, Layout layout) {
  try {
    return to_result(classifier.classify(input), layout);
  } catch (const std::bad_alloc&) {  // a record of a million classes may not fit where its image did
    return to_result({.path = input.path,
                      .error = RecordError{ErrorCode::out_of_memory, "not enough memory for the record"}},
                     layout);
  }
}

/// Writes results with their framing and counts them.
class ResultWriter {
 public:
  ResultWriter(Output& output, const Plan& plan)
      : output_(output), framing_(framing(plan.layout)), log_failures_(plan.log_failures) {}

  void write(const Result& result) {
    output_.write(std::string(counts_.records == 0 ? framing_.before : framing_.between) + result.text);
    ++counts_.records;
    if (result.failure.empty()) return;
    ++counts_.failed;
    if (log_failures_) log_failed_input(result.failure);
  }

  PipelineResult finish() {
    output_.write(counts_.records == 0 ? framing_.empty : framing_.after);
    return counts_;
  }

 private:
  Output& output_;
  Framing framing_;
  bool log_failures_;
  PipelineResult counts_;
};

/// What the workers and the writing thread share: inputs handed out by number, results taken back in that
/// order.
class Exchange {
 public:
  /// @param window how many inputs may be out or waiting to be written at once.
  Exchange(InputWalker& inputs, std::size_t window) : inputs_(inputs), results_(window) {}

  struct Job {
    std::size_t number = 0;
    Input input;
  };

  /// For workers: the next input, or nothing when there is no more or the run is to stop. Waits for room.
  std::optional<Job> take() {
    const std::scoped_lock taking(
        input_mutex_);  // walking folders may be slow: results still come back meanwhile
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [&] { return stopped_ || taken_ < written_ + results_.size(); });
      if (stopped_) return std::nullopt;
    }
    std::optional<Input> input;
    if (stop_signal() == 0) input = inputs_.next();
    const std::scoped_lock lock(mutex_);
    if (!input) {
      stopped_ = true;
      ready_.notify_one();
      return std::nullopt;
    }
    return Job{taken_++, std::move(*input)};
  }

  /// For workers: the result of job `number`.
  void put(std::size_t number, Result result) {
    const std::scoped_lock lock(mutex_);
    results_[number % results_.size()] = std::move(result);
    if (number == written_) ready_.notify_one();
  }

  /// For the writing thread: the next result in order, or nothing when all are written. Waits for it.
  std::optional<Result> next() {
    std::unique_lock lock(mutex_);
    std::optional<Result>& slot = results_[written_ % results_.size()];
    ready_.wait(lock, [&] { return slot || failure_ || (stopped_ && written_ == taken_); });
    if (!slot) return std::nullopt;
    std::optional<Result> result = std::move(slot);
    slot.reset();
    ++written_;
    room_.notify_one();
    return result;
  }

  /// No more inputs; what has been taken is still to be put.
  void stop() {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    room_.notify_all();
  }

  /// For workers: what keeps one from putting a result. The run ends; rethrow() tells.
  void fail(std::exception_ptr failure) {
    const std::scoped_lock lock(mutex_);
    failure_ = std::move(failure);
    stopped_ = true;
    room_.notify_all();
    ready_.notify_one();
  }

  /// For the writing thread, after the workers have ended.
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::mutex input_mutex_;  // taken before mutex_
  InputWalker& inputs_;

  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable ready_;
  std::vector<std::optional<Result>> results_;  // job n at n modulo the size
  std::size_t taken_ = 0;                       // jobs handed out
  std::size_t written_ = 0;                     // results given to the writing thread
  bool stopped_ = false;
  std::exception_ptr failure_;
};

/// Threads that end before what they work on does, also when an exception passes by.
class Workers {
 public:
  explicit Workers(Exchange& exchange) : exchange_(exchange) {}
  ~Workers() { join(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Starts a thread for each classifier, fewer where the system refuses. @return how many
  std::size_t start(std::deque<Classifier>& classifiers, Layout layout) {
    threads_.reserve(classifiers.size());
    try {
      for (Classifier& classifier : classifiers)
        threads_.emplace_back([&classifier, layout, this] { work(classifier, layout); });
    } catch (const std::system_error&) {
      log_warning("only " + std::to_string(threads_.size()) + " of " + std::to_string(classifiers.size()) +
                  " threads could be started");
    }
    return threads_.size();
  }

  void join() {
    exchange_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void work(Classifier& classifier, Layout layout) {
    try {
      while (std::optional<Exchange::Job> job = exchange_.take())
        exchange_.put(job->number, classify_to_result(classifier, job->input, layout));
    } catch (...) {  // out of it, an exception would end the process without a word
      exchange_.fail(std::current_exception());
    }
  }

  Exchange& exchange_;
  std::vector<std::thread> threads_;
};

void classify_in_turn(Classifier& classifier, InputWalker& inputs, Layout layout, Output& output,
                      ResultWriter& writer) {
  while (stop_signal() == 0 && output.state() == Output::State::open) {
    const std::optional<Input> input = inputs.next();
    if (!input) return;
    writer.write(classify_to_result(classifier, *input, layout));
  }
}

void classify_in_parallel(std::deque<Classifier>& classifiers, InputWalker& inputs, Layout layout,
                          Output& output, ResultWriter& writer) {
  // Room for each worker to be some images ahead of the slowest one.
  Exchange exchange(inputs, 8 * classifiers.size());
  Workers workers(exchange);
  if (workers.start(classifiers, layout) == 0)
    return classify_in_turn(classifiers.front(), inputs, layout, output, writer);
  while (const std::optional<Result> result = exchange.next()) {
    if (output.state() != Output::State::open) {
      exchange.stop();  // and drain what the workers still finish
      continue;
    }
    writer.write(*result);
  }
  workers.join();
  exchange.rethrow();
}

/// With its kernels split over the plan's threads, or on one thread where the system refuses more.
std::unique_ptr<Classifier> make_classifier(const Engine& engine, const Plan& plan) {
  try {
    return std::make_unique<Classifier>(engine, plan, plan.threads);
  } catch (const std::system_error&) {
    log_warning("the system refuses " + std::to_string(plan.threads) + " threads: using one");
    return std::make_unique<Classifier>(engine, plan, 1);
  }
}

}  // namespace

PipelineResult classify_all(const Engine& engine, const Plan& plan, Output& output) {
  InputWalker inputs(plan.inputs, [](const std::string& message) { log_warning(message); });
  ResultWriter writer(output, plan);
  if (plan.single_image || plan.threads == 1) {
    const std::unique_ptr<Classifier> classifier = make_classifier(engine, plan);
    classify_in_turn(*classifier, inputs, plan.layout, output, writer);
  } else {
    std::deque<Classifier> classifiers;
    for (int i = 0; i < plan.threads; ++i) classifiers.emplace_back(engine, plan, 1);
    classify_in_parallel(classifiers, inputs, plan.layout, output, writer);
  }
  return writer.finish();
}

}  // namespace mnv2::app
