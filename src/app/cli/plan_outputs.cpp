#include "app/cli/plan_outputs.h"

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "app/base/usage_error.h"
#include "app/image/read_file.h"
#include "app/inputs/walker.h"
#include "app/results/embedding_sink.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

bool same_file(const std::string& a, const std::string& b) {
  std::error_code error;  // also where one of them does not exist
  return std::filesystem::equivalent(a, b, error) && !error;
}

/// Each file that a run writes as a whole, with its flag.
std::vector<std::pair<std::string, std::string>> output_files(const OutputPlan& plan) {
  std::vector<std::pair<std::string, std::string>> files;
  if (plan.output) files.emplace_back("--output", *plan.output);
  if (plan.embeddings) {
    files.emplace_back("--embeddings", *plan.embeddings);
    files.emplace_back("--embeddings", embedding_index_path(*plan.embeddings));
  }
  if (plan.html) files.emplace_back("--html", *plan.html);
  return files;
}

void check_combinations(const Options& options, const OutputPlan& plan, Layout layout) {
  const auto refuse = [](bool both, const char* message) {
    if (both) throw UsageError(message);
  };
  refuse(options.bench && options.format == Format::csv,
         "--format: csv is not for --bench, which gives text or json");
  refuse(options.byte_order_mark && layout != Layout::csv, "--bom: needs --format csv");
  refuse(options.bench && options.resume, "--resume: not with --bench");
  refuse(options.bench && options.min_prob > 0, "--min-prob: not with --bench");
  refuse(options.bench && options.embeddings.has_value(), "--embeddings: not with --bench");
  refuse(options.bench && options.html.has_value(), "--html: not with --bench");
  refuse(options.bench && options.sort_into.has_value(), "--sort-into: not with --bench");
  refuse(options.eval && options.format == Format::csv,
         "--format: csv is not for --eval, which gives text or json");
  refuse(options.eval && options.resume, "--resume: not with --eval");
  refuse(options.eval && options.min_prob > 0, "--min-prob: not with --eval");
  refuse(options.resume && !plan.output, "--resume: needs --output FILE, the file to go on with");
  refuse(options.resume && layout != Layout::json_lines && layout != Layout::csv,
         "--resume: needs --format jsonl or csv, which have a record a line");
  refuse(options.resume && options.embeddings,
         "--resume: not with --embeddings, which cannot be gone on with");
  refuse(options.resume && options.html, "--resume: not with --html, which cannot be gone on with");
  refuse(options.sort_as && !options.sort_into, "--sort-as: needs --sort-into DIR");
  refuse(options.embeddings && options.embeddings->empty(), "--embeddings: the file name is empty");
  refuse(options.embeddings == "-", "--embeddings: needs a file, - is stdout; ./- is a file of that name");
  refuse(options.html == "-", "--html: needs a file, - is stdout; ./- is a file of that name");
  refuse(options.sort_into && options.sort_into->empty(), "--sort-into: the folder's name is empty");
}

/// Whether there is an image, which an output that has a photo's name by mistake would replace.
bool is_image(const std::string& path) {
  try {
    return image::begins_as_image(path);
  } catch (const Error&) {
    return false;  // it may not be read; opening it tells whether it may be written
  }
}

/// The modes that look at models alone have no results of images.
void check_model_modes(const Options& options) {
  if (!options.summary && !options.list_models) return;
  const std::string mode = options.summary ? "--summary" : "--list-models";
  const std::pair<const char*, bool> given[] = {
      {"--resume", options.resume},           {"--embeddings", options.embeddings.has_value()},
      {"--html", options.html.has_value()},   {"--sort-into", options.sort_into.has_value()},
      {"--shard", options.shard.has_value()}, {"--labels", options.labels.has_value()},
      {"--min-prob", options.min_prob > 0}};
  for (const auto& [flag, is_given] : given)
    if (is_given) throw UsageError(std::string(flag) + ": not with " + mode);
}

void check_files(const OutputPlan& plan, const Options& options, const NamedInputs& inputs) {
  const auto files = output_files(plan);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& [flag, path] = files[i];
    std::error_code error;
    // A device or a pipe takes what several write.
    if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) continue;
    for (std::size_t j = 0; j < i; ++j) {
      if (std::filesystem::absolute(path).lexically_normal() ==
              std::filesystem::absolute(files[j].second).lexically_normal() ||
          same_file(path, files[j].second))
        throw UsageError(flag + ": " + path + " is written by " + files[j].first + " already");
    }
    for (const std::string& input : inputs.paths)
      if (same_file(path, input)) throw UsageError(flag + ": " + path + " is an input, too");
    if (inputs.files_from && same_file(path, *inputs.files_from))
      throw UsageError(flag + ": " + path + " is the file of --files-from, too");
    if (options.truth && same_file(path, *options.truth))
      throw UsageError(flag + ": " + path + " is the file of --truth, too");
    if (options.labels && same_file(path, *options.labels))
      throw UsageError(flag + ": " + path + " is the file of --labels, too");
    if (is_image(path)) throw UsageError(flag + ": " + path + " is an image, which would be replaced");
  }
}

/// Images that are sorted into a folder that is being walked would be walked, too.
void check_sort_folder(const OutputPlan& plan, const NamedInputs& inputs) {
  if (!plan.sort_into) return;
  std::error_code error;
  const std::filesystem::path target = std::filesystem::weakly_canonical(*plan.sort_into, error);
  for (const std::string& input : inputs.paths) {
    if (!is_folder(input)) continue;
    const std::filesystem::path folder = std::filesystem::canonical(input, error);
    const auto relative = target.lexically_relative(folder);
    if (!relative.empty() && *relative.begin() != "..")
      throw UsageError("--sort-into: " + *plan.sort_into + " lies in " + input +
                       ", an input: what is sorted would be classified again");
  }
}

}  // namespace

OutputPlan plan_outputs(const Options& options, const NamedInputs& inputs, Layout layout) {
  if (options.output && options.output->empty()) throw UsageError("--output: the file name is empty");
  OutputPlan plan{.resume = options.resume,
                  .embeddings = options.embeddings,
                  .html = options.html,
                  .sort_into = options.sort_into,
                  .sort_as = options.sort_as.value_or(SortAs::link)};
  if (options.output != "-") plan.output = options.output;  // "-" is stdout, as without the flag
  check_combinations(options, plan, layout);
  check_model_modes(options);
  check_files(plan, options, inputs);
  check_sort_folder(plan, inputs);
  return plan;
}

void check_model_is_no_output(const OutputPlan& plan, const std::string& model_path) {
  for (const auto& [flag, path] : output_files(plan))
    if (same_file(path, model_path)) throw UsageError(flag + ": " + path + " is the model file");
}

}  // namespace mnv2::app
