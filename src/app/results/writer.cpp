#include "app/results/writer.h"

#include <cstdint>

#include "app/base/format_text.h"
#include "app/base/json.h"
#include "app/base/log.h"

namespace mnv2::app {
namespace {

bool is_utf8(const std::string& text) {
  try {
    (void)Json(text).dump();  // strict: throws at the first byte that is not UTF-8
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

Json to_json(const Timings& timings) {
  return {{"read", static_cast<float>(timings.read_ms)},
          {"decode", static_cast<float>(timings.decode_ms)},
          {"preprocess", static_cast<float>(timings.preprocess_ms)},
          {"inference", static_cast<float>(timings.inference_ms)}};
}

Json to_json(const Record& record) {
  Json json;
  json["path"] = record.path;
  if (!is_utf8(record.path)) json["path_base64"] = base64(record.path);
  if (record.member) {
    json["archive"] = record.member->archive;
    json["member"] = record.member->name;
  }
  json["status"] = record.error ? "error" : "ok";
  if (record.error) {
    json["error"] = {{"code", error_code_name(record.error->code)}, {"message", record.error->message}};
    return json;
  }
  json["width"] = record.width;
  json["height"] = record.height;
  if (record.orientation != 1) json["orientation"] = record.orientation;
  if (!record.warnings.empty()) json["warnings"] = record.warnings;
  if (record.has_classes) json["top"] = Json::array();
  for (const LabeledPrediction& prediction : record.top)
    json["top"].push_back({{"index", prediction.index},
                           {"label", prediction.label},
                           {measure_name(record.has_probabilities), prediction.probability}});
  if (record.timings) json["timings_ms"] = to_json(*record.timings);
  return json;
}

std::string to_text(const Record& record) {
  std::string out = printable(record.path);
  if (record.error) {
    out.append(": ").append(error_code_name(record.error->code)).append(": ");
    return out.append(printable(record.error->message)).append("\n");
  }
  out += format_text("  %dx%d", record.width, record.height);
  if (record.orientation != 1)
    out += format_text(", turned upright from EXIF orientation %d", record.orientation);
  out += "\n";
  for (const LabeledPrediction& prediction : record.top) {
    const double value = prediction.probability;
    out += record.has_probabilities ? format_text("  %6.2f %%  ", 100.0 * value)
                                    : format_text("  %9.4g  ", value);
    out += printable(prediction.label);
    out += format_text(" (%d)\n", prediction.index);
  }
  for (const std::string& warning : record.warnings)
    out.append("  warning: ").append(printable(warning)).append("\n");
  if (record.timings) {
    out += format_text("  read %.2f ms, decode %.2f ms, preprocess %.2f ms, inference %.2f ms\n",
                       record.timings->read_ms, record.timings->decode_ms, record.timings->preprocess_ms,
                       record.timings->inference_ms);
  }
  return out;
}

constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

Framing framing(Layout layout, const CsvColumns& columns) {
  if (layout == Layout::json_array)
    return {.before = "[\n", .between = ",\n", .after = "\n]\n", .empty = "[]\n"};
  if (layout == Layout::csv) return {.before = csv_header(columns), .empty = csv_header(columns)};
  return {};
}

std::string format_record(const Record& record, Layout layout, int predictions) {
  switch (layout) {
    case Layout::json_object: return dump_indented(to_json(record)) + "\n";
    case Layout::json_array: return dump_line(to_json(record));
    case Layout::json_lines: return dump_line(to_json(record)) + "\n";
    case Layout::csv: return csv_record(record, predictions);
    case Layout::text: return to_text(record);
  }
  return {};
}

std::string base64(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = i; j < i + 3; ++j)
      group = group << 8 | (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0u);
    for (std::size_t digit = 0; digit < 4; ++digit)
      out += i + digit <= bytes.size() ? kBase64Digits[group >> (18 - 6 * digit) & 63] : '=';
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string out;
  std::uint32_t group = 0;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  if (text.size() % 4 != 0) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = i < text.size() - padding ? kBase64Digits.find(text[i]) : 0;
    if (digit == std::string_view::npos) return std::nullopt;
    group = group << 6 | static_cast<std::uint32_t>(digit);
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) out += static_cast<char>(group >> shift & 255);
  }
  out.resize(out.size() - padding);
  return out;
}

}  // namespace mnv2::app
