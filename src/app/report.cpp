#include "app/report.h"

#include <cstdarg>
#include <cstdio>

#include "app/json.h"
#include "app/log.h"

namespace mnv2::app {
namespace {

float to_float(double value) { return static_cast<float>(value); }

Json to_json(const Statistics& statistics) {
  return {{"runs", statistics.count},
          {"min_ms", to_float(statistics.min)},
          {"p50_ms", to_float(statistics.p50)},
          {"p90_ms", to_float(statistics.p90)},
          {"p95_ms", to_float(statistics.p95)},
          {"p99_ms", to_float(statistics.p99)},
          {"max_ms", to_float(statistics.max)},
          {"mean_ms", to_float(statistics.mean)},
          {"images_per_second", to_float(statistics.mean > 0 ? 1000 / statistics.mean : 0)}};
}

Json to_json(const BenchReport& report) {
  Json json;
  json["version"] = MNV2_VERSION;
  json["cpu"] = report.cpu;
  json["isa"] = report.isa;
  json["threads"] = report.threads;
  json["affinity_cpus"] = report.affinity_cpus;
  json["quota_cpus"] = report.quota_cpus ? Json(to_float(*report.quota_cpus)) : Json();
  json["model"] = {{"path", report.model_path}, {"source", report.model_source},
                   {"classes", report.classes}, {"input_h", report.input_h},
                   {"input_w", report.input_w}, {"multiply_adds", report.multiply_adds}};
  json["load_ms"] = to_float(report.load_ms);
  json["pack_ms"] = to_float(report.pack_ms);
  json["first_inference_ms"] = to_float(report.first_inference_ms);
  json["warmup_runs"] = report.warmup_runs;
  json["images"] = report.images;
  if (report.images > 0) {
    json["read"] = to_json(report.read);
    json["decode"] = to_json(report.decode);
    json["preprocess"] = to_json(report.preprocess);
  }
  Json& inference = json["inference"] = to_json(report.inference);
  inference["gflops"] = to_float(report.gflops());
  inference["percent_of_peak"] = to_float(report.percent_of_peak());
  if (report.images > 0) json["total"] = to_json(report.total);
  json["peak_gflops_per_thread"] = to_float(report.peak_gflops_per_thread);
  json["peak_rss_bytes"] = report.peak_rss_bytes;
  return json;
}

[[gnu::format(printf, 2, 3)]] void append(std::string& out, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  out += line;
}

void append_row(std::string& out, const char* name, const Statistics& s) {
  append(out, "  %-11s %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f %11.1f\n", name, s.min, s.p50, s.p90, s.p95, s.p99,
         s.max, s.mean > 0 ? 1000 / s.mean : 0);
}

std::string to_text(const BenchReport& report) {
  std::string out;
  append(out, "mnv2-classify %s on %s\n", MNV2_VERSION, report.cpu.c_str());
  append(out, "  ISA %s, %d thread%s; %d CPU%s may be used", report.isa.c_str(), report.threads,
         report.threads == 1 ? "" : "s", report.affinity_cpus, report.affinity_cpus == 1 ? "" : "s");
  if (report.quota_cpus) append(out, ", quota %.2f", *report.quota_cpus);
  out += "\n  model " + printable(report.model_path) + " (" + printable(report.model_source) + ")\n";
  append(out, "  %d classes, input %dx%d, %.1f M multiply-adds\n\n", report.classes, report.input_w,
         report.input_h, static_cast<double>(report.multiply_adds) / 1e6);
  append(out, "  load %.2f ms, pack %.2f ms, first inference %.2f ms, then %zu runs to warm up\n\n",
         report.load_ms, report.pack_ms, report.first_inference_ms, report.warmup_runs);
  append(out, "  %-11s %9s %9s %9s %9s %9s %9s %11s\n", "ms", "min", "p50", "p90", "p95", "p99", "max",
         "images/s");
  if (report.images > 0) {
    append_row(out, "read", report.read);
    append_row(out, "decode", report.decode);
    append_row(out, "preprocess", report.preprocess);
  }
  append_row(out, "inference", report.inference);
  if (report.images > 0) append_row(out, "total", report.total);
  append(out, "\n  %zu runs", report.inference.count);
  if (report.images > 0) append(out, " over %zu image%s", report.images, report.images == 1 ? "" : "s");
  append(out, "; inference %.1f GFLOP/s, %.1f %% of the FMA peak (%.1f GFLOP/s a thread)\n", report.gflops(),
         report.percent_of_peak(), report.peak_gflops_per_thread);
  append(out, "  peak memory %.1f MB\n", static_cast<double>(report.peak_rss_bytes) / 1e6);
  return out;
}

}  // namespace

double BenchReport::gflops() const {
  return inference.p50 > 0 ? 2 * static_cast<double>(multiply_adds) / (inference.p50 * 1e6) : 0;
}

double BenchReport::percent_of_peak() const {
  const double peak = peak_gflops_per_thread * threads;
  return peak > 0 ? 100 * gflops() / peak : 0;
}

std::string format_report(const BenchReport& report, Layout layout) {
  if (layout == Layout::text) return to_text(report);
  return (layout == Layout::json_lines ? dump_line(to_json(report)) : dump_indented(to_json(report))) + "\n";
}

}  // namespace mnv2::app
