#include "app/base/json.h"
#include "app/bench/report.h"

namespace mnv2::app {
namespace {

float to_float(double value) { return static_cast<float>(value); }

/// @param at_once how many images are in this stage at the same time.
Json to_json(const Statistics& statistics, int at_once) {
  return {{"runs", statistics.count},
          {"min_ms", to_float(statistics.min)},
          {"p50_ms", to_float(statistics.p50)},
          {"p90_ms", to_float(statistics.p90)},
          {"p95_ms", to_float(statistics.p95)},
          {"p99_ms", to_float(statistics.p99)},
          {"max_ms", to_float(statistics.max)},
          {"mean_ms", to_float(statistics.mean)},
          {"images_per_second", to_float(statistics.mean > 0 ? at_once * 1000 / statistics.mean : 0)}};
}

Json to_json(const LayerReport& layer) {
  const LayerShape& shape = layer.shape;
  return {{"name", layer.name},
          {"kind", layer.kind},
          {"out_c", layer.out_c},
          {"out_h", shape.out_h},
          {"out_w", shape.out_w},
          {"parameters", shape.parameters},
          {"multiply_adds", shape.multiply_adds},
          {"weight_bytes", shape.weight_bytes},
          {"activation_bytes", shape.activation_bytes},
          {"p50_ms", to_float(layer.ms)},
          {"gflops", to_float(layer.gflops)},
          {"percent_of_peak", to_float(layer.percent_of_peak)}};
}

/// Adds the figures of `row` to `json`.
void add_row(Json& json, const RowReport& row, bool with_stages) {
  const int at_once = row.setting.images_at_once();
  json["threads"] = row.setting.threads;
  json["batch"] = row.setting.batch;
  json["warmup_runs"] = row.warmup_runs;
  json["warmup_ms"] = to_float(row.warmup_ms);
  json["steady"] = row.steady();
  if (with_stages) {
    json["read"] = to_json(row.read, at_once);
    json["decode"] = to_json(row.decode, at_once);
    json["preprocess"] = to_json(row.preprocess, at_once);
  }
  Json& inference = json["inference"] = to_json(row.inference, at_once);
  inference["gflops"] = to_float(row.gflops);
  inference["percent_of_peak"] = to_float(row.percent_of_peak);
  if (with_stages) json["total"] = to_json(row.total, at_once);
  if (row.setting.batch > 1) json["whole_batch"] = to_json(row.batch, row.setting.batch);
  json["images_per_second"] = to_float(row.images_per_second);
  json["peak_gflops_per_thread"] = to_float(row.peak_gflops / row.setting.busy_threads());
  Json& rounds = json["rounds"] = {{"gflops", Json::array()}, {"peak_gflops", Json::array()}};
  for (const Round& round : row.rounds) {
    rounds["gflops"].push_back(to_float(round.gflops));
    rounds["peak_gflops"].push_back(to_float(round.peak_gflops));
  }
  for (const LayerReport& layer : row.layers) json["layers"].push_back(to_json(layer));
}

Json to_json(const Throughput& throughput) {
  Json json{{"threads", throughput.threads},
            {"cores", throughput.cores},
            {"images", throughput.images},
            {"images_per_second", to_float(throughput.images_per_second())},
            {"one_core_ms", to_float(throughput.one_core_ms())},
            {"bound_images_per_second", to_float(throughput.bound())},
            {"percent_of_bound", to_float(throughput.percent_of_bound())}};
  Json& rounds = json["rounds"] = {{"one_core_ms", Json::array()}, {"images_per_second", Json::array()}};
  for (const ThroughputRound& round : throughput.rounds) {
    rounds["one_core_ms"].push_back(to_float(round.one_core_ms));
    rounds["images_per_second"].push_back(to_float(round.images_per_second));
  }
  return json;
}

Json to_json(const Ratio& ratio) {
  return {
      {"earlier", to_float(ratio.earlier)}, {"now", to_float(ratio.now)}, {"ratio", to_float(ratio.value())}};
}

Json to_json(const Comparison& comparison) {
  Json json;
  json["file"] = comparison.file;
  json["version"] = comparison.version;
  json["differences"] = comparison.differences;
  json["load_ms"] = to_json(comparison.load_ms);
  json["pack_ms"] = to_json(comparison.pack_ms);
  json["first_inference_ms"] = to_json(comparison.first_inference_ms);
  for (const RowComparison& row : comparison.rows) {
    Json entry{{"threads", row.setting.threads},
               {"batch", row.setting.batch},
               {"inference_p50_ms", to_json(row.inference_p50_ms)},
               {"percent_of_peak", to_json(row.percent_of_peak)}};
    for (const auto& [name, ms] : row.layers) {
      Json layer = to_json(ms);
      layer["name"] = name;
      entry["layers_p50_ms"].push_back(std::move(layer));
    }
    json["rows"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace

/// The first setting's figures stand at the top, so that a reader of one setting need not know of sweeps.
std::string report_to_json(const BenchReport& report, bool indented) {
  Json json;
  json["version"] = report.version;
  json["cpu"] = report.cpu;
  json["isa"] = report.isa;
  json["precision"] = report.precision;
  json["affinity_cpus"] = report.affinity_cpus;
  json["quota_cpus"] = report.quota_cpus ? Json(to_float(*report.quota_cpus)) : Json();
  json["model"] = {{"path", report.model_path}, {"source", report.model_source},
                   {"classes", report.classes}, {"input_h", report.input_h},
                   {"input_w", report.input_w}, {"multiply_adds", report.multiply_adds}};
  json["load_ms"] = to_float(report.load_ms);
  json["pack_ms"] = to_float(report.pack_ms);
  json["first_inference_ms"] = to_float(report.first_inference_ms);
  json["peak_rss_bytes"] = report.peak_rss_bytes;
  json["images"] = report.images;
  add_row(json, report.rows.front(), report.images > 0);
  if (report.rows.size() > 1) {
    for (const RowReport& row : report.rows) {
      Json entry;
      add_row(entry, row, report.images > 0);
      json["sweep"].push_back(std::move(entry));
    }
  }
  if (report.throughput) json["run"] = to_json(*report.throughput);
  if (report.comparison) json["comparison"] = to_json(*report.comparison);
  return (indented ? dump_indented(json) : dump_line(json)) + "\n";
}

}  // namespace mnv2::app
