// How often the model is right: counts that do not grow with the number of images.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "app/results/record.h"

namespace mnv2::app {

/// Of the images of one class, or of all.
struct Tally {
  std::int64_t images = 0;
  std::int64_t top1 = 0;  // right at the first guess
  std::int64_t top5 = 0;  // within the first five

  double top1_accuracy() const {
    return images == 0 ? 0 : static_cast<double>(top1) / static_cast<double>(images);
  }
  double top5_accuracy() const {
    return images == 0 ? 0 : static_cast<double>(top5) / static_cast<double>(images);
  }
};

/// Images of one class that were taken for another.
struct Confusion {
  int truth = 0;
  int predicted = 0;
  std::int64_t images = 0;
};

class Evaluation {
 public:
  explicit Evaluation(int num_classes) : classes_(static_cast<std::size_t>(num_classes)) {}

  /// @param top the record's predictions, most probable first, at least five or all classes.
  void add(int truth, const std::vector<LabeledPrediction>& top);

  Tally total() const;
  const std::vector<Tally>& classes() const { return classes_; }  // [num_classes]
  /// Whether "within the first five" says anything: of five classes or fewer, every image is.
  bool has_top5() const { return classes_.size() > 5; }
  /// The mean of the top-1 accuracies of the classes that have images.
  double mean_class_accuracy() const;
  /// The most frequent confusions first, ties in the order of the classes; at most `count`.
  std::vector<Confusion> most_confused(std::size_t count) const;

 private:
  std::vector<Tally> classes_;
  std::map<std::pair<int, int>, std::int64_t> confusions_;  // (truth, predicted) -> images
};

}  // namespace mnv2::app
