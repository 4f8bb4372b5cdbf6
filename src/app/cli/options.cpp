#include "app/cli/options.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <utility>

#include "app/base/numbers.h"
#include "app/base/usage_error.h"
#include "mnv2/isa.h"

namespace mnv2::app {
namespace {

template <typename T, typename Target>
CLI::Option* add_number(CLI::App& app, const std::string& name, Target& target, T min, T max,
                        const std::string& help) {
  const std::string flag = name.substr(name.rfind(',') + 1);
  return app.add_option_function<std::string>(
      name,
      [&target, flag, min, max](const std::string& text) { target = parse_number<T>(flag, text, min, max); },
      help);
}

/// A flag that takes one of some words. Its type name lists them, for the help and for completions.
template <typename T, typename Target>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Target& target,
                        const std::vector<std::pair<std::string, T>>& choices, const std::string& help) {
  const std::string flag = name.substr(name.rfind(',') + 1);
  const auto listed = [&choices](const std::string& separator, const std::string& last_separator) {
    std::string list;
    for (std::size_t i = 0; i < choices.size(); ++i)
      list += (i == 0 ? "" : i + 1 < choices.size() ? separator : last_separator) + choices[i].first;
    return list;
  };
  return app
      .add_option_function<std::string>(
          name,
          [&target, flag, choices, expected = listed(", ", " or ")](const std::string& text) {
            for (const auto& [word, value] : choices)
              if (text == word) return void(target = value);
            throw UsageError(flag + ": '" + text + "' is unknown, expected " + expected);
          },
          help)
      ->type_name(listed("|", "|"));
}

constexpr int kMaxInt = std::numeric_limits<int>::max();
// The engine takes inputs up to 4096 pixels, the resize up to 16384.
constexpr int kMaxCrop = 4096;
constexpr int kMinInputSize = 32;  // the networks' strides make 1 pixel of it
constexpr int kMaxResize = 16384;
constexpr int kMaxThreads = 1024;
constexpr int kMaxBatch = 65536;

/// Of the group "Result": what is given and where it goes.
void add_output_flags(CLI::App& app, Options& options) {
  add_number<float>(app, "--min-prob", options.min_prob, 0, 1, "leave out less probable classes (0)")
      ->type_name("P");
  app.add_option("-o,--output", options.output, "file for the results, in place when they are complete")
      ->type_name("FILE");
  app.add_flag("--resume", options.resume, "append to the --output of a run that was cut short what it lacks")
      ->disable_flag_override();
  app.add_option("--embeddings", options.embeddings,
                 "pooled features as a NumPy array, a row for each input, and FILE.index.csv")
      ->type_name("FILE.npy");
  app.add_option("--html", options.html, "one page for people, with thumbnails and filters")
      ->type_name("FILE");
  app.add_option("--sort-into", options.sort_into, "put each image into a folder for its class below DIR")
      ->type_name("DIR");
  add_choice<SortAs>(app, "--sort-as", options.sort_as,
                     {{"link", SortAs::link}, {"symlink", SortAs::symlink}, {"copy", SortAs::copy}},
                     "how --sort-into does it (link: a hard link)");
}

/// The words of a type and its values.
template <typename Value, std::size_t kCount>
std::vector<std::pair<std::string, Value>> choices_of(const std::array<Value, kCount>& values,
                                                      std::string_view (*name_of)(Value) noexcept) {
  std::vector<std::pair<std::string, Value>> choices;
  for (const Value value : values) choices.emplace_back(name_of(value), value);
  return choices;
}

/// Of the group "Preprocessing": what the network is given instead of what the model says.
void add_preprocessing_flags(CLI::App& app, PreprocessingChanges& changes) {
  add_number<int>(app, "--resize", changes.resize, 1, kMaxResize,
                  "length of the short side before the crop (the model's)")
      ->type_name("PIXELS");
  add_number<int>(app, "--crop", changes.crop, 1, kMaxCrop,
                  "side of the square that the network sees (the model's)")
      ->type_name("PIXELS");
  add_number<int>(app, "--input-size", changes.input_size, kMinInputSize, kMaxCrop,
                  "another crop than the model's, and the resize in proportion")
      ->type_name("PIXELS");
  add_choice<ResizeForm>(app, "--resize-form", changes.form, choices_of(kResizeForms, resize_form_name),
                         "how an image becomes that square (the model's)");
  add_choice<Interpolation>(app, "--interpolation", changes.interpolation,
                            choices_of(kInterpolations, interpolation_name),
                            "the filter of the resize (the model's)");
}

/// Those that this build has.
std::string isa_words() {
  std::string words;
  for (const Isa isa : compiled_isas()) words.append(words.empty() ? "" : "|").append(isa_name(isa));
  return words;
}

/// The one table of flags.
void add_flags(CLI::App& app, Options& options) {
  app.option_defaults()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);  // so that aliases can be overridden

  app.option_defaults()->group("Input");
  app.add_option("--files-from", options.files_from,
                 "a list of files and folders, one path a line; - is stdin (as an input also an image)")
      ->type_name("FILE");
  app.add_flag("-0,--null", options.null_separated,
               "lists have NUL between paths; else line ends, and all other bytes count")
      ->disable_flag_override();
  add_number<int>(app, "--max-depth", options.max_depth, 0, kMaxInt,
                  "how deep to go into folders: 1 takes what is right in them, 0 enters none")
      ->type_name("N");
  app.add_flag("--hidden", options.hidden, "in folders, also names that begin with a dot")
      ->disable_flag_override();
  app.add_flag("--any-name", options.any_name,
               "in folders, also files not named .jpg .jpeg .jpe .jfif .png .webp that begin as such images")
      ->disable_flag_override();
  app.add_flag("--archives", options.archives,
               "in folders, also the images in .tar, .tar.gz, .tar.zst, .tar.xz and .zip archives")
      ->disable_flag_override();
  app.add_option_function<std::string>(
         "--exclude", [&options](const std::string& pattern) { options.exclude.push_back(pattern); },
         "in folders, leave out names like this, or paths if it has a /; may be repeated")
      ->trigger_on_parse()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("GLOB");
  app.add_option(
         "--shard", options.shard,
         "the I-th of N parts of the inputs, by a hash of each path; slurm: I and N from the array job")
      ->type_name("I/N");

  app.option_defaults()->group("Model");
  app.add_option("-m,--model", options.model,
                 "a file, or the name of a model in the data folders; without it, $MNV2_MODEL, then imagenet")
      ->type_name("MODEL");

  app.option_defaults()->group("Result");
  add_number<int>(app, "-k,--top-k", options.top_k, 1, kMaxInt, "how many classes to give for each image (5)")
      ->type_name("N");
  app.add_option("--labels", options.labels, "class names: a JSON list or object, or text with one a line")
      ->type_name("FILE");
  add_choice<Format>(
      app, "-f,--format", options.format,
      {{"json", Format::json}, {"jsonl", Format::jsonl}, {"csv", Format::csv}, {"text", Format::text}},
      "JSON for one image, one JSON object a line for more");
  app.add_flag("--bom", options.byte_order_mark, "with -f csv: a byte order mark first, for Excel")
      ->disable_flag_override();
  add_output_flags(app, options);
  app.add_flag("--unordered", options.unordered, "results as they are done, not in the order of the inputs")
      ->disable_flag_override();

  app.option_defaults()->group("Preprocessing");
  add_preprocessing_flags(app, options.preprocessing);
  app.add_flag("--no-exif", options.no_exif, "do not turn images upright by their EXIF orientation")
      ->disable_flag_override();
  add_number<std::int64_t>(app, "--max-pixels", options.max_pixels, 1,
                           std::numeric_limits<std::int64_t>::max(), "refuse larger images (178956970)")
      ->type_name("N");

  app.option_defaults()->group("Speed");
  app.add_option_function<std::string>(
         "-t,--threads",
         [&options](const std::string& text) {
           options.threads = parse_number_list("--threads", text, 1, kMaxThreads);
         },
         "without it, as many as CPUs may be used; --bench takes several: 1,2,4 or 1-4")
      ->type_name("N");
  app.add_option_function<std::string>(
         "--batch",
         [&options](const std::string& text) {
           options.batch = parse_number_list("--batch", text, 1, kMaxBatch);
         },
         "images at once, each on one thread; 1: all threads share each; --bench takes several: 1,8")
      ->type_name("N");
  add_choice<Decode>(app, "--decode", options.decode, {{"exact", Decode::exact}, {"fast", Decode::fast}},
                     "exact: every pixel; fast: JPEGs of a camera's size at 1/2, 1/4 or 1/8 of it");
  app.add_option("--isa", options.isa, "instruction set (the best here); also $MNV2_ISA")
      ->type_name(isa_words());
  std::vector<std::pair<std::string, PrecisionChoice>> precisions;
  for (const Precision precision : kPrecisions)
    precisions.emplace_back(precision_name(precision), PrecisionChoice{precision});
  precisions.emplace_back("fast", PrecisionChoice{std::nullopt});
  add_choice<PrecisionChoice>(app, "--precision", options.precision, precisions,
                              "what the products are made of (float32); fast: the quickest here");
  app.add_flag("--fast", options.fast, "--decode fast --precision fast: nearly the same answers sooner")
      ->disable_flag_override();

  app.option_defaults()->group("Modes");
  app.add_flag("--list-models", options.list_models,
               "the models that --model NAME finds, and what is in them")
      ->disable_flag_override();
  app.add_flag("--summary", options.summary, "the layers of the model, their shapes and what they cost")
      ->disable_flag_override();
  app.add_flag("--eval", options.eval, "how often the model is right, on a folder per class")
      ->disable_flag_override();
  app.add_option("--truth", options.truth,
                 "with --eval: a CSV file with a path, relative to the folder given or its own, and a class")
      ->type_name("FILE");
  app.add_flag("--bench", options.bench, "measure the speed, on images or a made-up one")
      ->disable_flag_override();
  add_number<double>(app, "--bench-seconds", options.bench_seconds, 0.01, 3600,
                     "how long to measure each row of the table (2)")
      ->type_name("S");
  app.add_flag("--per-layer", options.per_layer, "with --bench: time, rate and bytes of every layer")
      ->disable_flag_override();
  app.add_option("--compare", options.compare,
                 "with --bench: the ratio to an earlier result of --bench -f json")
      ->type_name("FILE");

  app.option_defaults()->group("Messages");
  CLI::Option* quiet = app.add_flag_callback(
      "-q,--quiet", [&] { options.verbosity = Verbosity::quiet; }, "no warnings on stderr");
  quiet->disable_flag_override();
  app.add_flag_callback(
         "-v,--verbose", [&] { options.verbosity = Verbosity::verbose; },
         "what was chosen on stderr, timings in the results")
      ->disable_flag_override()
      ->excludes(quiet);
  add_choice<When>(app, "--progress", options.progress,
                   {{"auto", When::automatic}, {"always", When::always}, {"never", When::never}},
                   "a bar on stderr (auto: for more than a handful of images, on a terminal)");
  add_choice<Color>(app, "--color", options.color,
                    {{"auto", Color::automatic}, {"always", Color::always}, {"never", Color::never}},
                    "colours on stderr (auto: on a terminal, unless $NO_COLOR is set)");
  app.add_flag("--version", options.version, "version, instruction sets and image decoder")
      ->disable_flag_override();
  app.set_help_flag("-h,--help", "the flags that most people use; --help: all of them")
      ->disable_flag_override()
      ->group("Messages");
}

/// CLI11's words for a command line that it cannot parse, made plain where they are not.
std::string reworded(const std::string& message) {
  const std::size_t missing = message.find(": 1 required ");  // "--top-k: 1 required N missing"
  if (missing != std::string::npos) return message.substr(0, missing) + ": its value is missing";
  const std::size_t override = message.find(" was given a disallowed flag override");
  if (override != std::string::npos) return "--" + message.substr(0, override) + " takes no value";
  return message;
}

/// Refuses what CLI11 takes for something else: after "--output=" it takes the next argument for the value, and of
/// "-o=FILE" the equals sign for a part of it.
void check_equals_sign(std::string_view argument) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos || !argument.starts_with('-')) return;
  const std::string flag(argument.substr(0, equals));
  if (flag.starts_with("--") && equals + 1 == argument.size())
    throw UsageError(flag + ": its value is missing");
  if (equals == 2 && flag != "--")
    throw UsageError("'" + std::string(argument) + "': a short flag takes no '='; write " + flag + " VALUE");
}

}  // namespace

Options parse_options(const std::vector<std::string>& arguments) {
  Options options;
  CLI::App app("", "mnv2-classify");
  add_flags(app, options);
  app.allow_extras();

  // Inputs are taken from what CLI11 leaves over, not declared as a positional: it would take a file name
  // "[a,b]" for a list. Whatever follows "--" is an input, also with a leading "-".
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  std::for_each(arguments.begin(), separator, check_equals_sign);
  std::vector<std::string> reversed(std::make_reverse_iterator(separator), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    const bool full = std::find(arguments.begin(), separator, "--help") != separator;
    options.help = help_text(app, full ? HelpLength::full : HelpLength::brief, help_width());
    return options;
  } catch (const CLI::ParseError& e) {
    throw UsageError(reworded(e.what()));
  }
  for (std::string& argument : app.remaining()) {
    if (argument.size() > 1 && argument[0] == '-') throw UsageError(unknown_flag_message(app, argument));
    options.inputs.push_back(std::move(argument));
  }
  if (separator != arguments.end())
    options.inputs.insert(options.inputs.end(), separator + 1, arguments.end());
  return options;
}

std::vector<FlagGroup> all_flags() {
  Options ignored;
  CLI::App app("", "mnv2-classify");
  add_flags(app, ignored);
  return flag_groups(app);
}

}  // namespace mnv2::app
