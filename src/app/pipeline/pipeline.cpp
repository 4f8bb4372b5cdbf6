#include "app/pipeline/pipeline.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "app/base/log.h"
#include "app/base/signals.h"
#include "app/pipeline/classifier.h"
#include "app/pipeline/exchange.h"
#include "app/pipeline/memory_budget.h"
#include "app/results/writer.h"

namespace mnv2::app {
namespace {

/// What workers do with an input.
struct Work {
  Needs needs = {};
  Layout layout;
  int predictions = 0;            // that a line of CSV has room for
  EarlyPicture* early = nullptr;  // of the only image
};

Result classify(Classifier& classifier, const Input& input, const Work& work) {
  try {
    Result result = classifier.classify(input, work.needs, work.early);
    if (work.needs.text) result.text = format_record(result.record, work.layout, work.predictions);
    return result;
  } catch (const std::bad_alloc&) {  // a record of a million classes may not fit where its image did
    Result result{
        .record = {.path = input.path,
                   .member = input.member,
                   .error = RecordError{ErrorCode::out_of_memory, "not enough memory for the record"}},
        .truth = input.truth};
    if (work.needs.text) result.text = format_record(result.record, work.layout, work.predictions);
    return result;
  }
}

/// Gives results to the sinks and counts them.
class Delivery {
 public:
  Delivery(std::span<const std::unique_ptr<Sink>> sinks, bool log_failures)
      : sinks_(sinks), log_failures_(log_failures) {}

  /// Whether every sink takes more.
  bool open() const {
    return std::all_of(sinks_.begin(), sinks_.end(),
                       [](const auto& sink) { return sink->state() == Sink::State::open; });
  }

  void deliver(const Result& result) {
    for (const auto& sink : sinks_) {
      sink->take(result);
      if (sink->state() != Sink::State::open) return;  // no record of what another sink could not take
    }
    ++counts_.records;
    if (!result.record.error) return;
    ++counts_.failed;
    if (log_failures_) log_failed_input(result.record.path + ": " + result.record.error->message);
  }

  PipelineResult finish(bool exhausted) {
    // One look decides for all: what is put in place, and the exit status. A signal is too late after it.
    counts_.signal = stop_signal();
    counts_.complete = exhausted && open() && counts_.signal == 0;
    const Ending ending = counts_.complete ? Ending::complete : Ending::cut_short;
    for (const auto& sink : sinks_) sink->finish(ending);
    return counts_;
  }

 private:
  std::span<const std::unique_ptr<Sink>> sinks_;
  bool log_failures_;
  PipelineResult counts_;
};

/// Threads that end before what they work on does, also when an exception passes by.
class Workers {
 public:
  explicit Workers(Exchange& exchange) : exchange_(exchange) {}
  ~Workers() { join(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Starts a thread for each classifier, fewer where the system refuses. @return how many
  std::size_t start(std::deque<Classifier>& classifiers, const Work& work) {
    threads_.reserve(classifiers.size());
    try {
      for (Classifier& classifier : classifiers)
        threads_.emplace_back([&classifier, work, this] { run(classifier, work); });
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
  void run(Classifier& classifier, const Work& work) {
    try {
      while (std::optional<Exchange::Job> job = exchange_.take())
        exchange_.put(job->number, classify(classifier, job->input, work));
    } catch (...) {  // out of it, an exception would end the process without a word
      exchange_.fail(std::current_exception());
    }
  }

  Exchange& exchange_;
  std::vector<std::thread> threads_;
};

/// @return whether the inputs ran out, which they do, too, where a signal ends waiting for the next one
bool classify_in_turn(Classifier& classifier, InputSource& inputs, const Work& work, Delivery& delivery) {
  while (stop_signal() == 0 && delivery.open()) {
    std::optional<Input> input = inputs.next();
    if (!input || !load_content(*input)) return true;
    delivery.deliver(classify(classifier, *input, work));
  }
  return false;
}

/// @return whether the inputs ran out, which they do, too, where a signal ends waiting for the next one
bool classify_in_parallel(std::deque<Classifier>& classifiers, InputSource& inputs, Order order,
                          const Work& work, Delivery& delivery) {
  // Room for each worker to be some images ahead of the slowest one.
  Exchange exchange(inputs, 8 * classifiers.size(), order);
  Workers workers(exchange);
  if (workers.start(classifiers, work) == 0)
    return classify_in_turn(classifiers.front(), inputs, work, delivery);
  while (const std::optional<Result> result = exchange.next()) {
    if (delivery.open()) delivery.deliver(*result);
    if (delivery.open()) continue;
    exchange.stop();  // and drain what the workers still finish
    end_waiting();    // for an input that nobody would take
  }
  workers.join();
  exchange.rethrow();
  return exchange.exhausted();
}

/// For one image at a time, with its kernels split over the plan's threads, or on one thread where the system
/// refuses more.
std::unique_ptr<Classifier> make_classifier(const Engine& engine, const PipelinePlan& plan,
                                            ImageMemory& memory) {
  try {
    return std::make_unique<Classifier>(engine, plan.classifier, plan.threads, memory);
  } catch (const std::system_error&) {
    log_warning("the system refuses " + std::to_string(plan.threads) + " threads: using one");
    return std::make_unique<Classifier>(engine, plan.classifier, 1, memory);
  }
}

}  // namespace

PipelineResult classify_all(const Engine& engine, const PipelinePlan& plan, InputSource& inputs,
                            std::span<const std::unique_ptr<Sink>> sinks, EarlyPicture* early) {
  Work work{.layout = plan.layout, .predictions = plan.classifier.columns(engine).predictions};
  for (const auto& sink : sinks) work.needs = work.needs | sink->needs();
  Delivery delivery(sinks, plan.log_failures);
  ImageMemory memory(plan.threads);
  bool exhausted = false;
  if (plan.images_at_once == 1) {
    work.early = early;
    const std::unique_ptr<Classifier> classifier = make_classifier(engine, plan, memory);
    exhausted = classify_in_turn(*classifier, inputs, work, delivery);
  } else {
    std::deque<Classifier> classifiers;
    for (int i = 0; i < plan.images_at_once; ++i)
      classifiers.emplace_back(engine, plan.classifier, 1, memory);
    exhausted = classify_in_parallel(classifiers, inputs, plan.order, work, delivery);
  }
  return delivery.finish(exhausted);
}

}  // namespace mnv2::app
