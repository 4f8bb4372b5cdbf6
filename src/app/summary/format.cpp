#include <algorithm>
#include <string_view>
#include <utility>

#include "app/base/format_text.h"
#include "app/base/json.h"
#include "app/base/log.h"
#include "app/summary/summary.h"

namespace mnv2::app {
namespace {

/// 3504872 as "3,504,872".
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::ptrdiff_t at = std::ssize(digits) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

std::string kilobytes(std::int64_t bytes) { return format_text("%.0f", static_cast<double>(bytes) / 1000); }
std::string millions(std::int64_t number) { return format_text("%.2f", static_cast<double>(number) / 1e6); }

/// Channels, height and width.
std::string output_shape(const SummaryRow& row, bool is_vector) {
  const LayerShape& shape = row.shape;
  return is_vector ? std::to_string(row.out_c) : format_text("%dx%dx%d", row.out_c, shape.out_h, shape.out_w);
}

/// A type in few columns: "3x3/2 ReLU6" for "Conv2d 3x3 depthwise s2, ReLU6". The layer's name says the rest.
std::string short_type(std::string type) {
  constexpr std::pair<std::string_view, std::string_view> kShorter[] = {
      {"Conv2d ", ""}, {" depthwise", ""}, {" s", "/"}, {", ", " "}, {"AdaptiveAvgPool2d", "average"}};
  for (const auto& [from, to] : kShorter)
    if (const std::size_t at = type.find(from); at != std::string::npos) type.replace(at, from.size(), to);
  return type;
}

/// A column's cells are padded to its widest one. The first `left` columns are names, the others numbers.
std::string table(const std::vector<std::vector<std::string>>& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (const auto& row : rows) {
    std::string line = " ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      line.append(" ").append(i < left ? row[i] + space : space + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string outputs_text(const Summary& summary) {
  const std::string classes =
      std::to_string(summary.classes) + (summary.classes == 1 ? " class" : " classes");
  if (!summary.output_activation) return "the pooled features";
  return *summary.output_activation == OutputActivation::none
             ? "scores of " + classes
             : classes + ", " + std::string(output_activation_name(*summary.output_activation));
}

std::string to_text(const Summary& summary) {
  // Two lines of names, so that the columns are as narrow as their numbers: 80 in all for the published networks.
  std::vector<std::vector<std::string>> cells{
      {"", "", "", "param-", "M mul-", "weight", "kB in", ""},
      {"layer", "type", "output", "eters", "adds", "kB", "+out", "sees"}};
  for (const SummaryRow& row : summary.rows) {
    const bool is_vector = !row.receptive_field;  // after the pooling
    cells.push_back({row.name, short_type(row.type), output_shape(row, is_vector), grouped(row.parameters),
                     millions(row.shape.multiply_adds), kilobytes(row.shape.weight_bytes),
                     kilobytes(row.shape.activation_bytes),
                     row.receptive_field ? std::to_string(*row.receptive_field) : "all"});
  }
  const SummaryRow total = summary.total();
  cells.push_back({"total", "", "", grouped(total.parameters), millions(total.shape.multiply_adds),
                   kilobytes(total.shape.weight_bytes), kilobytes(total.shape.activation_bytes), ""});

  std::string out =
      printable(summary.model) + "\n" + printable(summary.architecture) + ", input [1, 3, " +
      std::to_string(summary.input_h) + ", " + std::to_string(summary.input_w) + "], from " +
      printable(summary.source) + "\noutput: " + outputs_text(summary) + "\n\n" + table(cells, 3) + "\n  " +
      grouped(total.parameters) + " parameters" +
      (summary.as_trained ? " as trained, " : " with BatchNorm folded in, ") +
      (summary.as_trained ? grouped(total.shape.parameters) + " with BatchNorm folded in,\n  " : "") +
      grouped(total.shape.multiply_adds) + " multiply-adds\n" +
      "  output: channels x height x width. kB in+out: activations read and written.\n"
      "  sees: the side of the square of input pixels that an output pixel depends on.\n";
  if (summary.separable_costs.empty()) return out;

  std::int64_t sum = 0;
  std::vector<std::vector<std::string>> costs{
      {"block", "aM -> aN", "rD_F", "D_K^2 aM (rD_F)^2", "aM aN (rD_F)^2", "sum"}};
  for (const SeparableCost& cost : summary.separable_costs) {
    sum += cost.depthwise + cost.pointwise;
    costs.push_back({cost.name, std::to_string(cost.in_c) + " -> " + std::to_string(cost.out_c),
                     std::to_string(cost.out_h) + "x" + std::to_string(cost.out_w), grouped(cost.depthwise),
                     grouped(cost.pointwise), grouped(cost.depthwise + cost.pointwise)});
  }
  costs.push_back({"total", "", "", "", "", grouped(sum)});
  return out +
         "\n  Cost of the separable blocks, D_K^2 aM (rD_F)^2 + aM aN (rD_F)^2\n"
         "  (Howard et al. 2017, section 3.3)" +
         (summary.multipliers
              ? format_text("\n  alpha = %.4g, rho = %d / 224 = %.4g", summary.multipliers->alpha,
                            summary.input_h, summary.multipliers->rho)
              : "") +
         "\n" + table(costs, 3);
}

Json to_json(const SummaryRow& row) {
  Json json;
  json["name"] = row.name;
  json["type"] = row.type;
  Json& shape = json["output_shape"] = {1, row.out_c};
  if (row.receptive_field) {
    shape.push_back(row.shape.out_h);
    shape.push_back(row.shape.out_w);
  }
  json["parameters"] = row.parameters;
  json["folded_parameters"] = row.shape.parameters;
  json["multiply_adds"] = row.shape.multiply_adds;
  json["weight_bytes"] = row.shape.weight_bytes;
  json["activation_bytes"] = row.shape.activation_bytes;
  json["receptive_field"] = row.receptive_field ? Json(*row.receptive_field) : Json(nullptr);
  return json;
}

Json to_json(const SeparableCost& cost) {
  return {{"name", cost.name},          {"kernel", cost.kernel},           {"in_channels", cost.in_c},
          {"out_channels", cost.out_c}, {"map", {cost.out_h, cost.out_w}}, {"depthwise", cost.depthwise},
          {"pointwise", cost.pointwise}};
}

Json to_json(const Summary& summary) {
  const SummaryRow total = summary.total();
  Json json = {
      {"model", summary.model},
      {"architecture", summary.architecture},
      {"source", summary.source},
      {"input_shape", {1, 3, summary.input_h, summary.input_w}},
      {"classes", summary.classes},
      {"output_activation",
       summary.output_activation ? Json(output_activation_name(*summary.output_activation)) : Json(nullptr)},
      {"parameters_as_trained", summary.as_trained}};
  Json& layers = json["layers"] = Json::array();
  for (const SummaryRow& row : summary.rows) layers.push_back(to_json(row));
  json["total"] = {{"parameters", total.parameters},
                   {"folded_parameters", total.shape.parameters},
                   {"multiply_adds", total.shape.multiply_adds},
                   {"weight_bytes", total.shape.weight_bytes},
                   {"activation_bytes", total.shape.activation_bytes}};
  if (!summary.separable_costs.empty()) {
    Json& costs = json["separable_costs"] = Json::array();
    for (const SeparableCost& cost : summary.separable_costs) costs.push_back(to_json(cost));
    const std::optional<Multipliers>& multipliers = summary.multipliers;
    json["alpha"] = multipliers ? Json(multipliers->alpha) : Json(nullptr);
    json["rho"] = multipliers ? Json(multipliers->rho) : Json(nullptr);
  }
  return json;
}

}  // namespace

std::string format_summary(const Summary& summary, Layout layout) {
  if (layout == Layout::text) return to_text(summary);
  const Json json = to_json(summary);
  return (layout == Layout::json_lines ? dump_line(json) : dump_indented(json)) + "\n";
}

}  // namespace mnv2::app
