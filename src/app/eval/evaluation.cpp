#include "app/eval/evaluation.h"

#include <algorithm>

namespace mnv2::app {

void Evaluation::add(int truth, const std::vector<LabeledPrediction>& top) {
  constexpr std::ptrdiff_t kFive = 5;
  Tally& tally = classes_[static_cast<std::size_t>(truth)];
  ++tally.images;
  const auto end = top.begin() + std::min(kFive, std::ssize(top));
  const auto found =
      std::find_if(top.begin(), end, [truth](const LabeledPrediction& p) { return p.index == truth; });
  if (found != end) ++tally.top5;
  if (found == top.begin() && found != end)
    ++tally.top1;
  else if (!top.empty())
    ++confusions_[{truth, top.front().index}];
}

Tally Evaluation::total() const {
  Tally total;
  for (const Tally& tally : classes_) {
    total.images += tally.images;
    total.top1 += tally.top1;
    total.top5 += tally.top5;
  }
  return total;
}

double Evaluation::mean_class_accuracy() const {
  double sum = 0;
  int present = 0;
  for (const Tally& tally : classes_) {
    if (tally.images == 0) continue;
    sum += tally.top1_accuracy();
    ++present;
  }
  return present == 0 ? 0 : sum / present;
}

std::vector<Confusion> Evaluation::most_confused(std::size_t count) const {
  std::vector<Confusion> all;
  all.reserve(confusions_.size());
  for (const auto& [pair, images] : confusions_) all.push_back({pair.first, pair.second, images});
  std::stable_sort(all.begin(), all.end(),
                   [](const Confusion& a, const Confusion& b) { return a.images > b.images; });
  if (all.size() > count) all.resize(count);
  return all;
}

}  // namespace mnv2::app
