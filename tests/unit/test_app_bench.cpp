// --bench's parts: lists of numbers, the plan of settings, figures, the comparison.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "app/base/numbers.h"
#include "app/base/usage_error.h"
#include "app/bench/compare.h"
#include "app/bench/crew.h"
#include "app/bench/report.h"
#include "app/cli/plan.h"
#include "support/catch.h"
#include "support/model_builder.h"

using namespace mnv2::app;
using mnv2::test::TempDir;
using mnv2::test::write_file;

namespace {

template <typename Function>
std::string usage_error(Function function) {
  try {
    function();
    return "accepted";
  } catch (const UsageError& e) {
    return e.what();
  }
}

std::vector<int> list(const std::string& text) { return parse_number_list("--n", text, 1, 1024); }

Plan plan_of(const std::vector<std::string>& arguments) {
  Environment environment;
  environment.variable = [](const char*) { return std::string(); };
  environment.affinity_cpus = 3;
  return make_plan(parse_options(arguments), environment);
}

bool near(double a, double b) { return std::abs(a - b) <= 1e-9 * std::abs(b); }

/// A report as --bench -f json writes it, with nothing but what a comparison needs.
std::string report_json(const std::string& rest = "") {
  return R"({"version":"0.0.9","cpu":"Abacus","isa":"avx2","affinity_cpus":2,"load_ms":4,"pack_ms":8,
    "first_inference_ms":16,"model":{"source":"home","input_h":224,"input_w":224,"multiply_adds":1000},
    "threads":1,"inference":{"p50_ms":2.5,"percent_of_peak":80})" +
         rest + "}";
}

BenchReport report_with(const BenchSetting& setting) {
  BenchReport report;
  report.version = "1";
  report.cpu = "Abacus";
  report.isa = "avx2";
  report.precision = "float32";
  report.affinity_cpus = 2;
  report.model_source = "home";
  report.input_h = report.input_w = 224;
  report.multiply_adds = 1000;
  report.load_ms = 1;
  report.pack_ms = 16;
  report.first_inference_ms = 16;
  RowReport row{.setting = setting};
  row.inference.p50 = 5;
  row.percent_of_peak = 40;
  report.rows.push_back(row);
  return report;
}

BenchReport read(const std::string& text) {
  const TempDir dir;
  write_file(dir.path() / "earlier.json", text);
  return read_report((dir.path() / "earlier.json").string());
}

std::string reading_error(const std::string& text) {
  const std::string message = usage_error([&] { read(text); });
  const std::string before = "not a result of --bench -f json: ";
  const std::size_t at = message.find(before);
  return at == std::string::npos ? message : message.substr(at + before.size());
}

}  // namespace

TEST_CASE("a measurement is steady when its 90th percentile is at most 1.5 times its median") {
  std::vector<double> times(100, 2.0);
  CHECK(is_steady(summarize(times)));
  std::fill(times.begin(), times.begin() + 10, 50.0);  // the slowest tenth may be anything
  CHECK(is_steady(summarize(times)));
  std::fill(times.begin(), times.begin() + 11, 3.0);
  CHECK(is_steady(summarize(times)));
  std::fill(times.begin(), times.begin() + 11, 3.01);
  CHECK(!is_steady(summarize(times)));
  RowReport row{.setting = {}, .inference = summarize(times)};
  CHECK(!row.steady());
  row.inference = summarize(std::vector<double>(5, 1.0));
  CHECK(row.steady());
  row.warmed_up = false;
  CHECK(!row.steady());
}

TEST_CASE("lists of numbers have commas and ranges, and each number once") {
  CHECK(list("4") == std::vector<int>{4});
  CHECK(list("1,2,4") == std::vector<int>{1, 2, 4});
  CHECK(list("1-4") == std::vector<int>{1, 2, 3, 4});
  CHECK(list("8,1-3,2-4,8") == std::vector<int>{8, 1, 2, 3, 4});
  CHECK(list("7-7") == std::vector<int>{7});
  CHECK(list("1-64").size() == 64);
}

TEST_CASE("lists with anything else are refused") {
  for (const char* text : {"", ",", "1,", ",1", "1,,2", "a", "1-", "-1", "1-2-3", "0", "0-2", "1025",
                           "1-1025", "1 ,2", "1.5", "1;2", "99999999999999999999"}) {
    INFO("'" << text << "'");
    CHECK(usage_error([&] { list(text); }).find("--n: '") == 0);
    CHECK(usage_error([&] { list(text); }).find("is not a whole number from 1 to 1024") != std::string::npos);
  }
  CHECK(usage_error([] { list("4-1"); }) == "--n: '4-1' is a range that ends before it begins");
  CHECK(usage_error([] { list("1-65"); }) == "--n: '1-65' has more than 64 numbers");
}

TEST_CASE("settings are all pairs of threads and batches") {
  using Settings = std::vector<BenchSetting>;
  CHECK(std::get<Bench>(plan_of({"--bench"}).mode).settings == Settings{{3, 1}});
  CHECK(std::get<Bench>(plan_of({"--bench", "-t", "2,1"}).mode).settings == Settings{{2, 1}, {1, 1}});
  CHECK(std::get<Bench>(plan_of({"--bench", "-t", "1-2", "--batch", "1,8"}).mode).settings ==
        Settings{{1, 1}, {2, 1}, {1, 8}, {2, 8}});
  CHECK(plan_of({"--bench", "-t", "2,1"}).threads == 2);
  CHECK(usage_error([] {
          plan_of({"--bench", "-t", "1-33", "--batch", "1-2"});
        }).find("at most 64 pairs") != std::string::npos);
}

TEST_CASE("what only --bench takes is refused elsewhere") {
  CHECK(usage_error([] { plan_of({"-t", "1,2", "x"}); }) == "--threads: more than one number needs --bench");
  CHECK(usage_error([] {
          plan_of({"--batch", "1,2", "x"});
        }) == "--batch: more than one number needs --bench");
  CHECK(usage_error([] { plan_of({"--per-layer", "x"}); }) == "--per-layer: needs --bench");
  CHECK(usage_error([] { plan_of({"--compare", "f", "x"}); }) == "--compare: needs --bench");
  CHECK(usage_error([] {
          plan_of({"--bench", "--per-layer", "--batch", "2,4"});
        }) == "--per-layer: needs a batch of 1");
  CHECK(usage_error([] { plan_of({"--bench", "--per-layer", "--batch", "2,1"}); }) == "accepted");
}

TEST_CASE("one image takes all threads, the images of a batch one each") {
  const BenchSetting alone{.threads = 4, .batch = 1};
  CHECK(alone.images_at_once() == 1);
  CHECK(alone.threads_per_image() == 4);
  CHECK(alone.busy_threads() == 4);
  const BenchSetting batch{.threads = 4, .batch = 8};
  CHECK(batch.images_at_once() == 4);
  CHECK(batch.threads_per_image() == 1);
  CHECK(batch.busy_threads() == 4);
  const BenchSetting small{.threads = 4, .batch = 3};
  CHECK(small.busy_threads() == 3);
}

TEST_CASE("a crew runs each of its members once a job, at the same time") {
  for (const int size : {1, 2, 5}) {
    Crew crew(size);
    REQUIRE(crew.size() == size);
    for (int job = 0; job < 50; ++job) {
      std::vector<int> calls(static_cast<std::size_t>(size), 0);
      std::atomic<int> inside = 0;
      crew.run([&](int member) {
        ++calls[static_cast<std::size_t>(member)];
        ++inside;
        while (inside < size) std::this_thread::yield();  // hangs when they do not run at the same time
      });
      CHECK(calls == std::vector<int>(static_cast<std::size_t>(size), 1));
    }
  }
}

TEST_CASE("the percentage is the median of the rounds' ratios, not the ratio of medians") {
  const TempDir dir;
  write_file(dir.path() / "m.safetensors", mnv2::test::serialize_model(mnv2::test::tiny_architecture(7)));
  const mnv2::Network network(mnv2::Model::load(dir.path() / "m.safetensors"),
                              {.input_h = 32, .input_w = 32});
  const double flops = 2 * static_cast<double>(network.multiply_adds());
  Samples samples;
  // A clock that changes: the fast rounds' peak is twice the slow one's.
  samples.rounds = {{200, 100}, {100, 40}, {50, 45}};
  samples.images = {{1, 2, 3, 4}, {1, 2, 3, 6}, {1, 2, 3, 8}};
  samples.turn_ms = {40, 50, 60};

  const RowReport alone = summarize_row({.threads = 2, .batch = 1}, samples, network, 3);
  CHECK(near(alone.percent_of_peak, 50));
  CHECK(near(alone.peak_gflops, 100));
  CHECK(near(alone.gflops, flops / 6e6));
  CHECK(near(alone.total.p50, 12));
  CHECK(near(alone.images_per_second, 1000 / 12.0));

  const RowReport batch = summarize_row({.threads = 2, .batch = 5}, samples, network, 3);
  CHECK(near(batch.images_per_second, 100));   // 5 images in 50 ms
  CHECK(near(batch.gflops, 2 * flops / 6e6));  // two images under way
  CHECK(near(batch.batch.max, 60));

  const RowReport made_up = summarize_row({.threads = 1, .batch = 1}, samples, network, 0);
  CHECK(made_up.decode.count == 0);
  CHECK(made_up.inference.count == 3);
}

TEST_CASE("a comparison divides this run by the earlier one") {
  BenchReport now = report_with({.threads = 1, .batch = 1});
  now.rows.front().layers = {{.name = "stem", .kind = "conv", .shape = {}, .ms = 3},
                             {.name = "new", .kind = "conv", .shape = {}, .ms = 9}};
  const BenchReport earlier =
      read(report_json(R"(,"layers":[{"name":"old","p50_ms":7},{"name":"stem","p50_ms":2}])"));
  const Comparison result = compare(now, earlier, "earlier.json");
  CHECK(result.version == "0.0.9");
  CHECK(near(result.load_ms.value(), 0.25));
  CHECK(near(result.pack_ms.value(), 2));
  CHECK(near(result.first_inference_ms.value(), 1));
  REQUIRE(result.rows.size() == 1);
  CHECK(near(result.rows[0].inference_p50_ms.value(), 2));
  CHECK(near(result.rows[0].percent_of_peak.value(), 0.5));
  REQUIRE(result.rows[0].layers.size() == 1);
  CHECK(result.rows[0].layers[0].name == "stem");
  CHECK(near(result.rows[0].layers[0].ms.value(), 1.5));
  CHECK(result.differences.empty());
}

TEST_CASE("a comparison finds the setting in a sweep, and says what is not alike") {
  const std::string sweep = R"(,"sweep":[
    {"threads":1,"batch":1,"inference":{"p50_ms":2.5,"percent_of_peak":80}},
    {"threads":2,"batch":1,"inference":{"p50_ms":1.25,"percent_of_peak":20}},
    {"threads":2,"batch":8,"inference":{"p50_ms":10,"percent_of_peak":10}}])";
  BenchReport now = report_with({.threads = 2, .batch = 8});
  Comparison result = compare(now, read(report_json(sweep)), "f");
  REQUIRE(result.rows.size() == 1);
  CHECK(near(result.rows[0].inference_p50_ms.value(), 0.5));
  CHECK(near(result.rows[0].percent_of_peak.value(), 4));
  CHECK(result.differences.empty());

  now = report_with({.threads = 4, .batch = 2});
  now.isa = "avx512";
  now.precision = "int8";
  now.cpu = "Slide rule";
  now.affinity_cpus = 8;
  now.model_source = "elsewhere";
  result = compare(now, read(report_json(sweep)), "f");
  REQUIRE(result.rows.size() == 1);
  CHECK(near(result.rows[0].inference_p50_ms.value(), 2));  // of the first
  REQUIRE(result.differences.size() == 7);
  CHECK(result.differences[0] == "machine: Slide rule, was Abacus");
  CHECK(result.differences[1] == "CPUs that may be used: 8, was 2");
  CHECK(result.differences[2] == "ISA: avx512, was avx2");
  CHECK(result.differences[3] == "precision: int8, was float32");  // an earlier version did not say
  CHECK(result.differences[4].find("model: elsewhere at 224x224") == 0);
  CHECK(result.differences[5] == "threads: 4, was 1");
  CHECK(result.differences[6] == "batch: 2, was 1");
}

TEST_CASE("what is no earlier result is refused, and why is said") {
  const std::string good = report_json();
  REQUIRE(reading_error(good) == "accepted");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return reading_error(text.replace(at, from.size(), to));
  };
  CHECK(reading_error("") == "it is no JSON");
  CHECK(reading_error(good.substr(0, good.size() / 2)) == "it is no JSON");
  CHECK(reading_error(std::string(100'000, '[')) == "it is no JSON");
  CHECK(reading_error("[]") == "it is no JSON object");
  CHECK(reading_error("{}") == "model is missing");
  CHECK(with(R"("p50_ms":2.5,)", "") == "inference.p50_ms is missing");
  CHECK(with("2.5", "0") == "inference.p50_ms is no positive number");
  CHECK(with("2.5", "\"2.5\"") == "inference.p50_ms is no positive number");
  CHECK(with(R"("load_ms":4)", R"("load_ms":-1)") == "load_ms is no positive number");
  CHECK(with(R"("threads":1)", R"("threads":1e99)") == "threads is no count");
  CHECK(with(R"("threads":1)", R"("threads":18446744073709551615)") == "threads is no count");
  CHECK(with(R"("cpu":"Abacus")", R"("cpu":7)") == "cpu is no text");
  CHECK(with(R"("threads":1)", R"("threads":1,"sweep":[3])") == "sweep[0] is no JSON object");
  CHECK(with(R"("threads":1)", R"("threads":1,"sweep":{})") == "sweep is no list");
  CHECK(usage_error([] { read_report("/nonexistent/file"); }).find("--compare: /nonexistent/file: ") == 0);
}
