#include <string>
#include <vector>

#include "app/base/usage_error.h"
#include "app/cli/help.h"
#include "app/cli/options.h"
#include "app/cli/plan.h"
#include "support/catch.h"

using namespace mnv2::app;
using mnv2::Precision;
using Arguments = std::vector<std::string>;

namespace {

std::string usage_error(const Arguments& arguments) {
  try {
    parse_options(arguments);
    return "accepted";
  } catch (const UsageError& e) {
    return e.what();
  }
}

Environment quiet_machine() {
  return {.variable = [](const char*) { return std::string(); },
          .program = "",
          .source_models = "",
          .stdout_is_terminal = false,
          .affinity_cpus = 3,
          .quota_cpus = {}};
}

Layout layout_of(const Arguments& arguments, bool terminal) {
  Environment environment = quiet_machine();
  environment.stdout_is_terminal = terminal;
  const Plan plan = make_plan(parse_options(arguments), environment);
  if (const auto* bench = std::get_if<Bench>(&plan.mode)) return bench->pipeline.layout;
  return std::get<Classify>(plan.mode).run.pipeline.layout;
}

}  // namespace

TEST_CASE("flags and inputs mix, and inputs keep their order and bytes") {
  const Options options =
      parse_options({"b", "-k", "3", "a", "--no-exif", "[x,y]", "-t2", "-", "--", "-k", "--help"});
  CHECK(options.inputs == Arguments{"b", "a", "[x,y]", "-", "-k", "--help"});
  CHECK(options.top_k == 3);
  CHECK(options.threads == std::vector<int>{2});
  CHECK(options.no_exif);
}

TEST_CASE("of a flag given twice the last counts") {
  CHECK(parse_options({"-k", "3", "--top-k=4", "x"}).top_k == 4);
  CHECK(parse_options({"-m", "a", "-m", "b", "x"}).model == "b");
}

TEST_CASE("numbers are whole, in range, and nothing else") {
  for (const char* text : {"0", "-1", "abc", "", "1.5", "3x", " 3", "0x10", "99999999999999999999"}) {
    INFO(text);
    CHECK(usage_error({"-k", text, "x"}) ==
          "--top-k: '" + std::string(text) + "' is not a whole number from 1 to 2147483647");
  }
  for (const char* text : {"nan", "inf", "-1", "0", "1s"}) {
    INFO(text);
    CHECK(usage_error({"--bench-seconds", text}).find("--bench-seconds: ") == 0);
  }
  CHECK(parse_options({"--bench-seconds", "0.5"}).bench_seconds == 0.5);
}

TEST_CASE("unknown flags suggest the near ones") {
  CHECK(usage_error({"--topk", "3", "x"}) == "unknown flag '--topk'; did you mean --top-k?");
  CHECK(usage_error({"--form=json"}) == "unknown flag '--form=json'; did you mean --format?");
  CHECK(usage_error({"--exif"}) == "unknown flag '--exif'; did you mean --no-exif?");
  CHECK(usage_error({"--thread", "1"}) == "unknown flag '--thread'; did you mean --threads?");
  CHECK(usage_error({"--xylophone"}) == "unknown flag '--xylophone'");
  CHECK(usage_error({"-j", "2"}) == "unknown flag '-j'; did you mean -t, --threads?");
  CHECK(usage_error({"--jobs=2"}) == "unknown flag '--jobs=2'; did you mean -t, --threads?");
  CHECK(usage_error({"-V"}) == "unknown flag '-V'; did you mean --version?");
  CHECK(usage_error({"-r", "x"}) ==
        "unknown flag '-r'; folders are walked to their depth without a flag; --max-depth N limits it");
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("same", "same") == 0);
}

TEST_CASE("what contradicts itself or lacks its value is refused") {
  CHECK(usage_error({"-q", "-v", "x"}) != "accepted");
  CHECK(usage_error({"-k"}) == "--top-k: its value is missing");
  CHECK(usage_error({"--bench=3"}) == "--bench takes no value");
  CHECK(usage_error({"-f", "xml", "x"}) == "--format: 'xml' is unknown, expected json, jsonl, csv or text");
}

TEST_CASE("the layout follows the format, the number of inputs and the terminal") {
  CHECK(layout_of({"a.jpg"}, true) == Layout::json_object);
  CHECK(layout_of({"a.jpg"}, false) == Layout::json_lines);
  CHECK(layout_of({"a.jpg", "b.jpg"}, true) == Layout::json_lines);
  CHECK(layout_of({"/"}, true) == Layout::json_lines);
  CHECK(layout_of({"-f", "json", "a.jpg"}, false) == Layout::json_object);
  CHECK(layout_of({"-f", "json", "a.jpg", "b.jpg"}, false) == Layout::json_array);
  CHECK(layout_of({"-f", "json", "/"}, false) == Layout::json_array);
  CHECK(layout_of({"-f", "text", "/"}, false) == Layout::text);
  CHECK(layout_of({"--bench"}, false) == Layout::text);
  CHECK(layout_of({"--bench", "-f", "json", "a", "b"}, false) == Layout::json_object);
}

TEST_CASE("a list is never a single image, and neither is a shard of one") {
  for (const Arguments& arguments :
       {Arguments{"-"}, Arguments{"--files-from", "-"}, Arguments{"--shard", "1/1", "a.jpg"}})
    CHECK(layout_of(arguments, true) == Layout::json_lines);
  CHECK(layout_of({"-f", "json", "-"}, true) == Layout::json_array);
}

TEST_CASE("flags of inputs reach the plan") {
  const auto run_of = [](const Arguments& arguments) {
    return std::get<Classify>(make_plan(parse_options(arguments), quiet_machine()).mode).run;
  };
  const RunPlan run = run_of({"--files-from", "l", "-0", "--max-depth", "2", "--hidden", "--any-name",
                              "--shard", "2/3", "--unordered", "a", "b"});
  CHECK(run.inputs.named.paths == Arguments{"a", "b"});
  CHECK(run.inputs.named.files_from == "l");
  CHECK(run.inputs.named.null_separated);
  CHECK(run.inputs.walk.max_depth == 2);
  CHECK(run.inputs.walk.hidden);
  CHECK(run.inputs.walk.any_name);
  CHECK(run.inputs.shard == Shard{2, 3});
  CHECK(run.pipeline.order == Order::completion);
  const RunPlan plain = run_of({"a"});
  CHECK_FALSE(plain.inputs.named.null_separated);
  CHECK_FALSE(plain.inputs.walk.max_depth);
  CHECK_FALSE(plain.inputs.walk.hidden);
  CHECK_FALSE(plain.inputs.walk.any_name);
  CHECK_FALSE(plain.inputs.shard);
  CHECK(plain.pipeline.order == Order::inputs);
  for (const Arguments& wrong :
       {Arguments{"-0", "a"}, Arguments{"-", "a", "-"}, Arguments{"-", "--files-from", "-"}})
    CHECK_THROWS_AS(run_of(wrong), UsageError);
}

TEST_CASE("the only image is decoded early where a thread is free for it") {
  const auto early = [](const Arguments& arguments) {
    return std::get<Classify>(make_plan(parse_options(arguments), quiet_machine()).mode).early_image;
  };
  CHECK(early({"a.jpg"}) == "a.jpg");
  CHECK_FALSE(early({"-t", "1", "a.jpg"}));
  CHECK_FALSE(early({"a.jpg", "b.jpg"}));
  CHECK_FALSE(early({"-"}));
  CHECK_FALSE(early({"/"}));
}

TEST_CASE("threads come from the flag, else from the CPUs that may be used") {
  Environment environment = quiet_machine();
  CHECK(make_plan(parse_options({"x"}), environment).threads == 3);
  environment.quota_cpus = 1.5;
  CHECK(make_plan(parse_options({"x"}), environment).threads == 1);
  CHECK(make_plan(parse_options({"-t", "7", "x"}), environment).threads == 7);
}

TEST_CASE("the flag for the instruction set goes before the variable, and the best is the default") {
  Environment environment = quiet_machine();
  CHECK(make_plan(parse_options({"x"}), environment).isa == mnv2::best_isa());
  environment.variable = [](const char* name) {
    return std::string(std::string(name) == "MNV2_ISA" ? "portable" : "");
  };
  CHECK(make_plan(parse_options({"x"}), environment).isa == mnv2::Isa::portable);
  CHECK_THROWS_AS(make_plan(parse_options({"--isa", "sse9", "x"}), environment), UsageError);
  environment.variable = [](const char*) { return std::string("nonsense"); };
  CHECK_THROWS_AS(make_plan(parse_options({"x"}), environment), UsageError);
}

TEST_CASE("images at once: as many as threads, unless told, and one if there is but one") {
  const auto at_once = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"-t", "4"});
    return std::get<Classify>(make_plan(parse_options(arguments), quiet_machine()).mode)
        .run.pipeline.images_at_once;
  };
  CHECK(at_once({"x", "y"}) == 4);
  CHECK(at_once({"--batch", "1", "x", "y"}) == 1);
  CHECK(at_once({"--batch", "3", "x", "y"}) == 3);
  CHECK(at_once({"--batch", "64", "x", "y"}) == 4);
  CHECK(at_once({"x"}) == 1);
  CHECK_THROWS_AS(at_once({"--batch", "0", "x"}), UsageError);
}

TEST_CASE("the precision is one of four, of which fast is what is quickest here") {
  const auto named = [](const std::string& word) {
    return parse_options({"--precision", word, "x"}).precision;
  };
  CHECK(named("float32")->named == Precision::float32);
  CHECK(named("bfloat16")->named == Precision::bfloat16);
  CHECK(named("int8")->named == Precision::int8);
  CHECK(named("fast")->named == std::nullopt);
  CHECK(!parse_options({"x"}).precision);
  CHECK(usage_error({"--precision", "int4", "x"}) ==
        "--precision: 'int4' is unknown, expected float32, bfloat16, int8 or fast");
}

TEST_CASE("help shows examples before flags, and every flag") {
  const Options options = parse_options({"--help"});
  REQUIRE(options.help);
  const std::string& help = *options.help;
  CHECK(help.find("mnv2-classify image.jpg") < help.find("--model"));
  for (const char* flag : {"-m, --model MODEL",
                           "-k, --top-k N",
                           "--labels FILE",
                           "-f, --format json|jsonl|csv|text",
                           "--resize PIXELS",
                           "--crop PIXELS",
                           "--resize-form crop|crop-floor|fit|squash|",
                           "--interpolation bilinear|bicubic|lanczos|nearest",
                           "--no-exif",
                           "--max-pixels N",
                           "-t, --threads N",
                           "--isa portable",
                           "--bench",
                           "--bench-seconds S",
                           "--per-layer",
                           "--batch N",
                           "--precision float32",
                           "--compare FILE",
                           "-q, --quiet",
                           "-v, --verbose",
                           "--version",
                           "-h, --help"}) {
    INFO(flag);
    CHECK(help.find(flag) != std::string::npos);
  }
}
