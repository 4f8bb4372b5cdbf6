#include "app/bench/compare.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "app/base/text_file.h"
#include "app/base/usage_error.h"

namespace mnv2::app {
namespace {

using nlohmann::json;

/// Reads fields; what is wrong with one is said with its name.
class Fields {
 public:
  Fields(const json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is_object()) throw UsageError((path_.empty() ? "it" : path_) + " is no JSON object");
  }

  Fields child(const char* name) const { return {required(name), full(name)}; }
  bool has(const char* name) const { return object_.contains(name); }
  const json& required(const char* name) const {
    if (!has(name)) throw UsageError(full(name) + " is missing");
    return object_.at(name);
  }

  double positive(const char* name) const {
    const json& value = required(name);
    if (!value.is_number() || !(value.get<double>() > 0) || !std::isfinite(value.get<double>()))
      throw UsageError(full(name) + " is no positive number");
    return value.get<double>();
  }

  int count(const char* name) const {
    const json& value = required(name);
    constexpr std::int64_t kMost = 1'000'000;
    if (!value.is_number_integer() || value.get<std::int64_t>() < 1 || value.get<std::int64_t>() > kMost)
      throw UsageError(full(name) + " is no count");
    return value.get<int>();
  }

  std::string text(const char* name) const {
    const json& value = required(name);
    if (!value.is_string()) throw UsageError(full(name) + " is no text");
    return value.get<std::string>();
  }

  /// The objects of a list; none when it is not there.
  std::vector<Fields> list(const char* name) const {
    std::vector<Fields> items;
    if (!has(name)) return items;
    if (!required(name).is_array()) throw UsageError(full(name) + " is no list");
    for (const json& item : required(name))
      items.emplace_back(item, full(name) + "[" + std::to_string(items.size()) + "]");
    return items;
  }

 private:
  std::string full(const char* name) const { return path_.empty() ? name : path_ + "." + name; }

  const json& object_;
  std::string path_;  // of the object, empty at the top
};

RowReport read_row(const Fields& fields) {
  RowReport row;
  row.setting.threads = fields.count("threads");
  if (fields.has("batch")) row.setting.batch = fields.count("batch");
  row.inference.p50 = fields.child("inference").positive("p50_ms");
  row.percent_of_peak = fields.child("inference").positive("percent_of_peak");
  for (const Fields& layer : fields.list("layers"))
    row.layers.push_back(
        {.name = layer.text("name"), .kind = {}, .shape = {}, .ms = layer.positive("p50_ms")});
  return row;
}

BenchReport parse_report(const std::string& text) {
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) throw UsageError("it is no JSON");
  const Fields fields(document, "");
  const Fields model = fields.child("model");
  BenchReport report;
  report.version = fields.text("version");
  report.cpu = fields.text("cpu");
  report.isa = fields.text("isa");
  // Earlier versions had one and did not say so.
  report.precision = document.contains("precision") ? fields.text("precision") : "float32";
  report.affinity_cpus = fields.count("affinity_cpus");
  report.model_source = model.text("source");
  report.input_h = model.count("input_h");
  report.input_w = model.count("input_w");
  report.multiply_adds = static_cast<std::int64_t>(std::min(model.positive("multiply_adds"), 1e18));
  report.load_ms = fields.positive("load_ms");
  report.pack_ms = fields.positive("pack_ms");
  report.first_inference_ms = fields.positive("first_inference_ms");
  for (const Fields& row : fields.list("sweep")) report.rows.push_back(read_row(row));
  if (report.rows.empty()) report.rows.push_back(read_row(fields));
  return report;
}

void add_difference(std::vector<std::string>& differences, const char* what, const std::string& now,
                    const std::string& earlier) {
  if (now != earlier) differences.push_back(std::string(what) + ": " + now + ", was " + earlier);
}

std::string describe_model(const BenchReport& report) {
  return report.model_source + " at " + std::to_string(report.input_w) + "x" +
         std::to_string(report.input_h) + " with " + std::to_string(report.multiply_adds) + " multiply-adds";
}

RowComparison compare_rows(const RowReport& now, const RowReport& earlier) {
  RowComparison row{.setting = now.setting,
                    .inference_p50_ms = {earlier.inference.p50, now.inference.p50},
                    .percent_of_peak = {earlier.percent_of_peak, now.percent_of_peak}};
  for (const LayerReport& layer : now.layers) {
    const auto found = std::find_if(earlier.layers.begin(), earlier.layers.end(),
                                    [&](const LayerReport& other) { return other.name == layer.name; });
    if (found != earlier.layers.end()) row.layers.push_back({layer.name, {found->ms, layer.ms}});
  }
  return row;
}

}  // namespace

BenchReport read_report(const std::string& path) {
  const std::string text = read_text_file("--compare", path);
  try {
    return parse_report(text);
  } catch (const UsageError& e) {
    throw UsageError("--compare: " + path + ": not a result of --bench -f json: " + e.what());
  }
}

Comparison compare(const BenchReport& now, const BenchReport& earlier, const std::string& file) {
  Comparison result{.file = file,
                    .version = earlier.version,
                    .load_ms = {earlier.load_ms, now.load_ms},
                    .pack_ms = {earlier.pack_ms, now.pack_ms},
                    .first_inference_ms = {earlier.first_inference_ms, now.first_inference_ms}};
  std::vector<std::string>& differences = result.differences;
  add_difference(differences, "machine", now.cpu, earlier.cpu);
  add_difference(differences, "CPUs that may be used", std::to_string(now.affinity_cpus),
                 std::to_string(earlier.affinity_cpus));
  add_difference(differences, "ISA", now.isa, earlier.isa);
  add_difference(differences, "precision", now.precision, earlier.precision);
  add_difference(differences, "model", describe_model(now), describe_model(earlier));
  for (const RowReport& row : now.rows) {
    const auto found = std::find_if(earlier.rows.begin(), earlier.rows.end(),
                                    [&](const RowReport& other) { return other.setting == row.setting; });
    if (found != earlier.rows.end()) {
      result.rows.push_back(compare_rows(row, *found));
    } else if (result.rows.empty() && &row == &now.rows.front()) {
      const RowReport& other = earlier.rows.front();
      add_difference(differences, "threads", std::to_string(row.setting.threads),
                     std::to_string(other.setting.threads));
      add_difference(differences, "batch", std::to_string(row.setting.batch),
                     std::to_string(other.setting.batch));
      result.rows.push_back(compare_rows(row, other));
    }
  }
  return result;
}

}  // namespace mnv2::app
