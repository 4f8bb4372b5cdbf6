#include "app/base/format_text.h"
#include "app/base/json.h"
#include "app/base/log.h"
#include "app/eval/eval_sink.h"
#include "app/models/labels.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kConfusions = 20;  // shown

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
               {"top5", accuracy_json(total, total.top5_accuracy())},
               {"top1_images", total.top1},
               {"top5_images", total.top5},
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
    entry["top5"] = to_float(tally.top5_accuracy());
    classes.push_back(std::move(entry));
  }
  return json;
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
  out += format_text("  top-5                %6.2f %%  (%lld)\n", 100 * total.top5_accuracy(),
                     static_cast<long long>(total.top5));
  out += format_text("  mean over classes    %6.2f %%\n", 100 * evaluation.mean_class_accuracy());
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
