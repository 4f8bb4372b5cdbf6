#include <algorithm>

#include "app/base/format_text.h"
#include "app/base/log.h"
#include "app/bench/report.h"
#include "mnv2/isa.h"
#include "mnv2/precision.h"

namespace mnv2::app {
namespace {

const char* plural(std::size_t count) { return count == 1 ? "" : "s"; }

void append_heading(std::string& out, const BenchReport& report) {
  const RowReport& first = report.rows.front();
  out += format_text("mnv2-classify %s on %s\n", report.version.c_str(), report.cpu.c_str());
  out += format_text("  ISA %s, %s, ", report.isa.c_str(), report.precision.c_str());
  if (report.rows.size() == 1)
    out += format_text("%d thread%s; ", first.setting.threads,
                       plural(static_cast<std::size_t>(first.setting.threads)));
  out += format_text("%d CPU%s may be used", report.affinity_cpus,
                     plural(static_cast<std::size_t>(report.affinity_cpus)));
  if (report.quota_cpus) out += format_text(", quota %.2f", *report.quota_cpus);
  out += "\n  model " + printable(report.model_path) + " (" + printable(report.model_source) + ")\n";
  out += format_text("  %d classes, input %dx%d, %.1f M multiply-adds\n\n", report.classes, report.input_w,
                     report.input_h, static_cast<double>(report.multiply_adds) / 1e6);
  out += format_text("  load %.2f ms, pack %.2f ms, first inference %.2f ms\n", report.load_ms,
                     report.pack_ms, report.first_inference_ms);
  for (const RowReport& row : report.rows) {
    if (row.steady()) continue;
    if (row.warmed_up)
      out += format_text("  not steady: the 90th percentile is %.1f times the median",
                         row.inference.p90 / row.inference.p50);
    else
      out += format_text("  not steady: times still moved after %.1f s of warming up", row.warmup_ms / 1000);
    if (report.rows.size() > 1)
      out += format_text(" (threads %d, batch %d)", row.setting.threads, row.setting.batch);
    out += "\n";
  }
  out += "\n";
}

void append_stage(std::string& out, const char* name, const Statistics& s, int at_once) {
  out += format_text("  %-11s %8.3f %8.3f %8.3f %8.3f %8.3f %8.3f %9.1f\n", name, s.min, s.p50, s.p90, s.p95,
                     s.p99, s.max, s.mean > 0 ? at_once * 1000 / s.mean : 0);
}

/// One setting, stage by stage.
void append_stages(std::string& out, const BenchReport& report) {
  const RowReport& row = report.rows.front();
  const int at_once = row.setting.images_at_once();
  out += format_text("  %-11s %8s %8s %8s %8s %8s %8s %9s\n", "ms", "min", "p50", "p90", "p95", "p99", "max",
                     "images/s");
  if (report.images > 0) {
    append_stage(out, "read", row.read, at_once);
    append_stage(out, "decode", row.decode, at_once);
    append_stage(out, "preprocess", row.preprocess, at_once);
  }
  append_stage(out, "inference", row.inference, at_once);
  if (report.images > 0) append_stage(out, "total", row.total, at_once);
  if (row.setting.batch > 1)
    append_stage(out, ("batch of " + std::to_string(row.setting.batch)).c_str(), row.batch,
                 row.setting.batch);
  out += format_text("\n  %zu run%s after %zu to warm up", row.inference.count, plural(row.inference.count),
                     row.warmup_runs);
  if (report.images > 0) out += format_text(", over %zu image%s", report.images, plural(report.images));
  out += format_text("\n  inference %.1f GFLOP/s, %.1f %% of the peak (%.1f GFLOP/s a thread)\n", row.gflops,
                     row.percent_of_peak, row.peak_gflops / row.setting.busy_threads());
}

/// Several settings, a line each.
void append_sweep(std::string& out, const BenchReport& report) {
  const bool stages = report.images > 0;
  out += format_text("  %7s %5s", "threads", "batch");
  // In 80 columns there is room for one of the two.
  out += stages ? format_text(" %8s %8s", "decode", "resize") : "";
  out += format_text(" %8s %7s", "infer", "p90");
  out += stages ? "" : format_text(" %7s", "p99");
  out += format_text(" %9s %7s %7s %6s\n", "images/s", "speed", "GFLOP/s", "% peak");
  const double first = report.rows.front().images_per_second;
  for (const RowReport& row : report.rows) {
    out += format_text("  %7d %5d", row.setting.threads, row.setting.batch);
    out += stages ? format_text(" %8.3f %8.3f", row.decode.p50, row.preprocess.p50) : "";
    out += format_text(" %8.3f %7.3f", row.inference.p50, row.inference.p90);
    out += stages ? "" : format_text(" %7.3f", row.inference.p99);
    out += format_text(" %9.1f %6.2fx %7.1f %6.1f\n", row.images_per_second,
                       first > 0 ? row.images_per_second / first : 0, row.gflops, row.percent_of_peak);
  }
  out += "\n  Times are in ms for one image: medians, and the inference's 90th";
  out += stages ? " percentile." : " and 99th percentile.";
  out += "\n  Speed is images/s by those of the first line.\n";
}

/// Additions in place of multiplications may pass the peak of what they replace.
void append_above_peak(std::string& out, const BenchReport& report) {
  if (report.isa != isa_name(Isa::avx512_zen) || report.precision != precision_name(Precision::float32))
    return;
  out +=
      "  GFLOP/s and % peak count the network's multiply-adds. Up to a third of those\n"
      "  of a pointwise layer are replaced by additions, in units that are idle in the\n"
      "  peak loop: so they may pass 100 %.\n";
}

void append_layers(std::string& out, const RowReport& row) {
  if (row.layers.empty()) return;
  double sum = 0;
  LayerShape total;
  std::size_t name_width = 5;
  for (const LayerReport& layer : row.layers) {
    sum += layer.ms;
    total.multiply_adds += layer.shape.multiply_adds;
    total.weight_bytes += layer.shape.weight_bytes;
    total.activation_bytes += layer.shape.activation_bytes;
    name_width = std::max(name_width, layer.name.size());
  }
  const auto kb = [](std::int64_t bytes) { return static_cast<double>(bytes) / 1e3; };
  const int width = static_cast<int>(name_width);
  out += format_text("\n  Layers on %d thread%s\n", row.setting.threads,
                     plural(static_cast<std::size_t>(row.setting.threads)));
  // Two lines of names, so that the columns are as narrow as their numbers: 80 in all for the published networks.
  out += format_text("  %-*s %-10s %6s %7s %5s %6s %5s %6s %6s\n", width, "", "", "M mul-", "", "% of",
                     "GFLOP", "% of", "weight", "kB in");
  out += format_text("  %-*s %-10s %6s %7s %5s %6s %5s %6s %6s\n", width, "layer", "output", "adds", "ms",
                     "time", "/s", "peak", "kB", "+out");
  for (const LayerReport& layer : row.layers) {
    const LayerShape& shape = layer.shape;
    const std::string output =
        std::to_string(layer.out_c) + "x" + std::to_string(shape.out_h) + "x" + std::to_string(shape.out_w);
    out += format_text("  %-*s %-10s %6.2f %7.4f %5.1f %6.1f %5.1f %6.0f %6.0f\n", width, layer.name.c_str(),
                       output.c_str(), static_cast<double>(shape.multiply_adds) / 1e6, layer.ms,
                       sum > 0 ? 100 * layer.ms / sum : 0, layer.gflops, layer.percent_of_peak,
                       kb(shape.weight_bytes), kb(shape.activation_bytes));
  }
  const auto macs = static_cast<double>(total.multiply_adds);
  out += format_text("  %-*s %-10s %6.2f %7.4f %5.1f %6.1f %5s %6.0f %6.0f\n", width, "sum", "", macs / 1e6,
                     sum, 100.0, gflops(macs, sum), "", kb(total.weight_bytes), kb(total.activation_bytes));
  out += format_text(
      "  Medians of each layer; that of a whole inference is %.4f ms. The rest is\n"
      "  waiting, for threads or for other programs. The layers of a block run fused:\n"
      "  what passes between them stays in the cache.\n",
      row.inference.p50);
}

void append_throughput(std::string& out, const Throughput& throughput) {
  out += format_text("\n  A run over many images: %.1f images/s on %d thread%s, %.1f %% of the bound of\n",
                     throughput.images_per_second(), throughput.threads,
                     plural(static_cast<std::size_t>(throughput.threads)), throughput.percent_of_bound());
  out += format_text("  %.1f: %d core%s / %.3f ms to decode, preprocess and classify an image on one core\n",
                     throughput.bound(), throughput.cores, plural(static_cast<std::size_t>(throughput.cores)),
                     throughput.one_core_ms());
}

void append_ratio(std::string& out, const std::string& name, const Ratio& ratio) {
  out += format_text("  %-36s %11.4f %11.4f %7.3fx\n", name.c_str(), ratio.earlier, ratio.now, ratio.value());
}

void append_comparison(std::string& out, const Comparison& comparison) {
  out += "\n  Compared with " + printable(comparison.file) + " (version " + printable(comparison.version) +
         ")\n";
  for (const std::string& difference : comparison.differences)
    out += "  not alike: " + printable(difference) + "\n";
  out += format_text("  %-36s %11s %11s %8s\n", "", "earlier", "this", "ratio");
  append_ratio(out, "load ms", comparison.load_ms);
  append_ratio(out, "pack ms", comparison.pack_ms);
  append_ratio(out, "first inference ms", comparison.first_inference_ms);
  for (const RowComparison& row : comparison.rows) {
    std::string setting = "threads " + std::to_string(row.setting.threads);
    if (row.setting.batch > 1) setting += ", batch " + std::to_string(row.setting.batch);
    append_ratio(out, setting + ": p50 ms", row.inference_p50_ms);
    append_ratio(out, setting + ": % of peak", row.percent_of_peak);
    for (const auto& [name, ms] : row.layers) append_ratio(out, setting + ": " + name + " ms", ms);
  }
}

}  // namespace

std::string report_to_text(const BenchReport& report) {
  std::string out;
  append_heading(out, report);
  if (report.rows.size() == 1)
    append_stages(out, report);
  else
    append_sweep(out, report);
  if (report.throughput) append_throughput(out, *report.throughput);
  out += format_text("  peak memory %.1f MB\n", static_cast<double>(report.peak_rss_bytes) / 1e6);
  append_above_peak(out, report);
  for (const RowReport& row : report.rows) append_layers(out, row);
  if (report.comparison) append_comparison(out, *report.comparison);
  return out;
}

}  // namespace mnv2::app
