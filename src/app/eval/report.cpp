#include <algorithm>
#include <limits>

#include "app/base/format_text.h"
#include "app/base/json.h"
#include "app/base/log.h"
#include "app/eval/eval_sink.h"
#include "app/models/labels.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kConfusions = 20;    // shown
constexpr std::size_t kClassesShown = 60;  // in the table; JSON has all

float to_float(double value) { return static_cast<float>(value); }

/// null where there was no image.
Json accuracy_json(const Tally& total, double value) {
  return total.images > 0 ? Json(to_float(value)) : Json();
}

Json class_json(int index, const std::vector<std::string>& labels) {
  return {{"index", index}, {"label", label_of(labels, index)}};
}

Json to_json(const EvalReport& report, const std::vector<std::string>& labels) {
  const Evaluation& evaluation = report.evaluation;
  const Tally total = evaluation.total();
  Json json = {{"complete", report.complete},
               {"images", total.images},
               {"failed", report.failed},
               {"unlabelled", report.unlabelled},
               {"top1", accuracy_json(total, total.top1_accuracy())},
               {"top5", evaluation.has_top5() ? accuracy_json(total, total.top5_accuracy()) : Json()},
               {"top1_images", total.top1},
               {"top5_images", evaluation.has_top5() ? Json(total.top5) : Json()},
               {"mean_class_accuracy", accuracy_json(total, evaluation.mean_class_accuracy())}};
  Json& confused = json["most_confused"] = Json::array();
  for (const Confusion& confusion : evaluation.most_confused(kConfusions))
    confused.push_back({{"truth", class_json(confusion.truth, labels)},
                        {"predicted", class_json(confusion.predicted, labels)},
                        {"images", confusion.images}});
  Json& classes = json["classes"] = Json::array();
  for (std::size_t i = 0; i < evaluation.classes().size(); ++i) {
    const Tally& tally = evaluation.classes()[i];
    if (tally.images == 0) continue;
    Json entry = class_json(static_cast<int>(i), labels);
    entry["images"] = tally.images;
    entry["top1"] = to_float(tally.top1_accuracy());
    entry["top5"] = evaluation.has_top5() ? Json(to_float(tally.top5_accuracy())) : Json();
    classes.push_back(std::move(entry));
  }
  return json;
}

/// A line for each class that has images, those that are least often recognised first.
std::string class_table(const Evaluation& evaluation, const std::vector<std::string>& labels) {
  const std::vector<Tally>& tallies = evaluation.classes();
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < tallies.size(); ++i)
    if (tallies[i].images > 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return tallies[a].top1_accuracy() < tallies[b].top1_accuracy();
  });
  const std::vector<Confusion> confused = evaluation.most_confused(std::numeric_limits<std::size_t>::max());
  std::string out = "\nClasses, the least often recognised first\n  images    top-1";
  out += evaluation.has_top5() ? "    top-5  class\n" : "  class\n";
  for (std::size_t i = 0; i < std::min(order.size(), kClassesShown); ++i) {
    const Tally& tally = tallies[order[i]];
    const int index = static_cast<int>(order[i]);
    out +=
        format_text("  %6lld  %5.1f %%", static_cast<long long>(tally.images), 100 * tally.top1_accuracy());
    if (evaluation.has_top5()) out += format_text("  %5.1f %%", 100 * tally.top5_accuracy());
    out += "  " + printable(label_of(labels, index));
    const auto most = std::find_if(confused.begin(), confused.end(),
                                   [&](const Confusion& confusion) { return confusion.truth == index; });
    if (most != confused.end()) {
      out += ", taken for " + printable(label_of(labels, most->predicted)) +
             format_text(" (%lld)", static_cast<long long>(most->images));
    }
    out += "\n";
  }
  if (order.size() > kClassesShown)
    out += format_text("  and %zu more: -f json has them all\n", order.size() - kClassesShown);
  return out;
}

std::string to_text(const EvalReport& report, const std::vector<std::string>& labels) {
  const Evaluation& evaluation = report.evaluation;
  const Tally total = evaluation.total();
  std::size_t present = 0;
  for (const Tally& tally : evaluation.classes()) present += tally.images > 0 ? 1 : 0;
  std::string out;
  if (!report.complete) out += "cut short: only the images so far\n";
  out += format_text("%lld images of %zu classes", static_cast<long long>(total.images), present);
  if (report.failed > 0)
    out += format_text("; %lld could not be classified", static_cast<long long>(report.failed));
  if (report.unlabelled > 0)
    out += format_text("; %lld of no known class", static_cast<long long>(report.unlabelled));
  out += format_text("\n\n  top-1                %6.2f %%  (%lld)\n", 100 * total.top1_accuracy(),
                     static_cast<long long>(total.top1));
  if (evaluation.has_top5()) {
    out += format_text("  top-5                %6.2f %%  (%lld)\n", 100 * total.top5_accuracy(),
                       static_cast<long long>(total.top5));
  }
  out += format_text("  mean over classes    %6.2f %%\n", 100 * evaluation.mean_class_accuracy());
  if (present > 0) out += class_table(evaluation, labels);
  const std::vector<Confusion> confused = evaluation.most_confused(kConfusions);
  if (!confused.empty()) out += "\nMost confused\n  images  is -> taken for\n";
  for (const Confusion& confusion : confused) {
    out += format_text("  %6lld  ", static_cast<long long>(confusion.images));
    out += printable(label_of(labels, confusion.truth)) + " -> " +
           printable(label_of(labels, confusion.predicted)) + "\n";
  }
  return out;
}

}  // namespace

std::string format_eval_report(const EvalReport& report, const std::vector<std::string>& labels,
                               Layout layout) {
  if (layout == Layout::text) return to_text(report, labels);
  const Json json = to_json(report, labels);
  return (layout == Layout::json_lines ? dump_line(json) : dump_indented(json)) + "\n";
}

}  // namespace mnv2::app
