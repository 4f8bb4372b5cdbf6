#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "app/base/log.h"
#include "app/bench/statistics.h"
#include "app/results/writer.h"
#include "support/catch.h"

using namespace mnv2::app;
using nlohmann::json;

namespace {

Record example() {
  Record record{.path = "a b.jpg"};
  record.width = 4;
  record.height = 3;
  record.top = {{7, "seven", 0.75f}, {1, "one", 0.1f}};
  return record;
}

}  // namespace

TEST_CASE("a record as a line of JSON, to the byte") {
  CHECK(format_record(example(), Layout::json_lines) ==
        R"({"path":"a b.jpg","status":"ok","width":4,"height":3,"top":[)"
        R"({"index":7,"label":"seven","probability":0.75},{"index":1,"label":"one","probability":0.1}]})"
        "\n");
  const Record failed{.path = "x", .error = RecordError{mnv2::ErrorCode::damaged_image, "ends early"}};
  CHECK(format_record(failed, Layout::json_lines) ==
        R"({"path":"x","status":"error","error":{"code":"damaged_image","message":"ends early"}})"
        "\n");
}

TEST_CASE("orientation, warnings and timings appear when there are any") {
  Record record = example();
  record.orientation = 6;
  record.warnings = {"odd"};
  record.timings = Timings{1, 2, 3, 4.5};
  const json parsed = json::parse(format_record(record, Layout::json_lines));
  CHECK(parsed["orientation"] == 6);
  CHECK(parsed["warnings"] == json{"odd"});
  CHECK(parsed["timings_ms"] == json{{"read", 1}, {"decode", 2}, {"preprocess", 3}, {"inference", 4.5}});
}

TEST_CASE("every layout of JSON holds the same record") {
  const json expected = json::parse(format_record(example(), Layout::json_lines));
  CHECK(json::parse(format_record(example(), Layout::json_object)) == expected);
  const Framing frame = framing(Layout::json_array);
  const std::string item = format_record(example(), Layout::json_array);
  const auto text = [](auto... parts) { return (std::string() + ... + std::string(parts)); };
  CHECK(json::parse(text(frame.before, item, frame.after)) == json::array({expected}));
  CHECK(json::parse(text(frame.before, item, frame.between, item, frame.after)) ==
        json::array({expected, expected}));
  CHECK(json::parse(frame.empty) == json::array());
}

TEST_CASE("probabilities have the digits that bring back the same float") {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    Record record = example();
    const float value = std::ldexp(static_cast<float>(random() >> 8), -24 - static_cast<int>(random() % 120));
    record.top[0].probability = value;
    const std::string line = format_record(record, Layout::json_lines);
    const std::string key = "\"probability\":";
    const float back = std::strtof(line.c_str() + line.find(key) + key.size(), nullptr);
    REQUIRE(back == value);
  }
}

TEST_CASE("a path that is not UTF-8 is still valid JSON and its bytes are not lost") {
  Record record = example();
  record.path = "caf\xC3\xA9.jpg";
  json parsed = json::parse(format_record(record, Layout::json_lines));
  CHECK(parsed["path"] == "caf\xC3\xA9.jpg");
  CHECK_FALSE(parsed.contains("path_base64"));
  record.path = "caf\xE9.jpg";  // Latin-1
  parsed = json::parse(format_record(record, Layout::json_lines));
  CHECK(parsed["path"] == "caf\xEF\xBF\xBD.jpg");
  CHECK(parsed["path_base64"] == "Y2Fm6S5qcGc=");
}

TEST_CASE("JSON escapes what must not stand in a string") {
  Record record = example();
  record.path = "quote\" back\\ line\n bell\x07 del\x7f";
  const std::string line = format_record(record, Layout::json_lines);
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(json::parse(line)["path"] == record.path);
  record.error = RecordError{mnv2::ErrorCode::internal, "bad \xFF byte"};
  CHECK(json::parse(format_record(record, Layout::json_lines))["error"]["message"] ==
        "bad \xEF\xBF\xBD byte");
}

TEST_CASE("base64 is RFC 4648's") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xFB\xFF\xFE") == "+//+");
}

TEST_CASE("text for people shows control characters instead of obeying them") {
  CHECK(printable("a\x1b[31m\n\x7f\xC3\xA9") == "a\\x1b[31m\\x0a\\x7f\xC3\xA9");
  CHECK(printable("\xC2\x9b"
                  "31m\xC2\xA0\x9b\xC2") ==
        "\\xc2\\x9b"
        "31m\xC2\xA0\x9b\xC2");
  Record record = example();
  record.path = "evil\x1b]0;title\x07.jpg";
  const std::string text = format_record(record, Layout::text);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("75.00 %  seven (7)") != std::string::npos);
}

TEST_CASE("percentiles are values of the sample, by nearest rank") {
  std::vector<double> values;
  for (int i = 100; i >= 1; --i) values.push_back(i);
  const Statistics statistics = summarize(values);
  CHECK(statistics.count == 100);
  CHECK(statistics.min == 1);
  CHECK(statistics.p50 == 50);
  CHECK(statistics.p90 == 90);
  CHECK(statistics.p95 == 95);
  CHECK(statistics.p99 == 99);
  CHECK(statistics.max == 100);
  CHECK(statistics.mean == 50.5);
  CHECK(summarize({3}).p99 == 3);
  CHECK(summarize({}).count == 0);
}
