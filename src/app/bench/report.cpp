#include "app/bench/report.h"

#include <utility>

#include "mnv2/network.h"

namespace mnv2::app {
namespace {

template <typename Field>
Statistics summarize_stage(const std::vector<Timings>& images, Field field) {
  std::vector<double> values;
  values.reserve(images.size());
  for (const Timings& timings : images) values.push_back(field(timings));
  return summarize(std::move(values));
}

template <typename Field>
double median_of_rounds(const std::vector<Round>& rounds, Field field) {
  std::vector<double> values;
  values.reserve(rounds.size());
  for (const Round& round : rounds) values.push_back(field(round));
  return summarize(std::move(values)).p50;
}

std::vector<LayerReport> summarize_layers(const std::vector<LayerSamples>& samples, const Network& network) {
  const Architecture& architecture = network.model().architecture();
  const std::vector<const Layer*> layers = architecture.layers();
  const std::vector<LayerShape> shapes = layer_shapes(architecture, network.input_h(), network.input_w());
  std::vector<LayerReport> reports;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double ms = summarize(samples[i].ms).p50;
    reports.push_back({.name = layers[i]->name,
                       .kind = std::string(layer_kind_name(layers[i]->kind)),
                       .out_c = layers[i]->out_c,
                       .shape = shapes[i],
                       .ms = ms,
                       .gflops = gflops(static_cast<double>(shapes[i].multiply_adds), ms),
                       .percent_of_peak = summarize(samples[i].percent_of_peak).p50});
  }
  return reports;
}

}  // namespace

RowReport summarize_row(const BenchSetting& setting, const Samples& samples, const Network& network,
                        std::size_t images) {
  RowReport row{.setting = setting,
                .warmup_runs = samples.warmup_runs,
                .warmup_ms = samples.warmup_ms,
                .warmed_up = samples.steady};
  if (images > 0) {
    row.read = summarize_stage(samples.images, [](const Timings& t) { return t.read_ms; });
    row.decode = summarize_stage(samples.images, [](const Timings& t) { return t.decode_ms; });
    row.preprocess = summarize_stage(samples.images, [](const Timings& t) { return t.preprocess_ms; });
  }
  row.inference = summarize_stage(samples.images, [](const Timings& t) { return t.inference_ms; });
  row.total = summarize_stage(samples.images, [](const Timings& t) {
    return t.read_ms + t.decode_ms + t.preprocess_ms + t.inference_ms;
  });
  row.batch = summarize(samples.turn_ms);
  const double ms_per_image = setting.batch == 1 ? row.total.mean : row.batch.mean / setting.batch;
  row.images_per_second = ms_per_image > 0 ? 1000 / ms_per_image : 0;
  row.gflops =
      gflops(setting.images_at_once() * static_cast<double>(network.multiply_adds()), row.inference.p50);
  row.percent_of_peak =
      median_of_rounds(samples.rounds, [](const Round& r) { return 100 * r.gflops / r.peak_gflops; });
  row.peak_gflops = median_of_rounds(samples.rounds, [](const Round& r) { return r.peak_gflops; });
  row.rounds = samples.rounds;
  row.layers = summarize_layers(samples.layers, network);
  return row;
}

std::string format_report(const BenchReport& report, Layout layout) {
  if (layout == Layout::text) return report_to_text(report);
  return report_to_json(report, layout != Layout::json_lines);
}

}  // namespace mnv2::app
