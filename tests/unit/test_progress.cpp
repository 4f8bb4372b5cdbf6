#include <string>

#include "app/cli/plan.h"
#include "app/pipeline/progress.h"
#include "support/catch.h"

using namespace mnv2::app;

namespace {

Environment terminal() {
  return {
      .variable = [](const char* name) { return std::string(name == std::string("TERM") ? "xterm" : ""); },
      .program = "",
      .source_models = "",
      .stdout_is_terminal = false,
      .stderr_is_terminal = true,
      .affinity_cpus = 2,
      .quota_cpus = {}};
}

bool shows_progress(const std::vector<std::string>& arguments, const Environment& environment) {
  const Plan plan = make_plan(parse_options(arguments), environment);
  if (const auto* evaluate = std::get_if<Evaluate>(&plan.mode)) return evaluate->run.progress.shown;
  return std::get<Classify>(plan.mode).run.progress.shown;
}

const Progress kMidway{
    .done = 250, .failed = 3, .found = 1000, .all_found = true, .elapsed_s = 10, .images_per_s = 25};

/// Without the colours.
std::string plain(std::string text) {
  for (std::size_t at; (at = text.find('\x1b')) != std::string::npos;)
    text.erase(at, text.find('m', at) - at + 1);
  return text;
}

}  // namespace

TEST_CASE("the closing line") {
  CHECK(format_closing_line(300, 2, 2.6) == "300 images in 2.6 s, 115/s, 2 errors");
  CHECK(format_closing_line(1, 1, 0.25) == "1 image in 0.2 s, 4.0/s, 1 error");
  CHECK(format_closing_line(100000, 0, 3661) == "100000 images in 1:01:01, 27/s");
  CHECK(format_closing_line(6, 0, 0) == "6 images in 0.0 s, 0.0/s");
}

TEST_CASE("the line has a bar, the count, the rate, what is left and the errors") {
  CHECK(format_progress(kMidway, 79, false) ==
        "[======>                   ]  250/1000  25 %  25.0 images/s  ETA 0:30  3 errors");
  Progress one = kMidway;
  one.failed = 1;
  CHECK(format_progress(one, 200, false) ==
        "[=========>                            ]  250/1000  25 %  25.0 images/s  ETA 0:30  1 error");
  one.failed = 0;
  CHECK(format_progress(one, 200, false).find("error") == std::string::npos);
}

TEST_CASE("what there is no room for is left out, and a line never is too long") {
  for (std::size_t columns = 1; columns <= 130; ++columns) {
    for (const bool all_found : {false, true}) {
      Progress progress = kMidway;
      progress.all_found = all_found;
      const std::string line = format_progress(progress, columns, false);
      INFO(columns << ": " << line);
      CHECK(!line.empty());
      CHECK(line.size() <= columns);
      CHECK(plain(format_progress(progress, columns, true)) == line);
    }
  }
  CHECK(format_progress(kMidway, 20, false) == "250/1000  3 errors");
  CHECK(format_progress(kMidway, 30, false) == "250/1000  ETA 0:30  3 errors");
  CHECK(format_progress(kMidway, 3, false) == "250");
}

TEST_CASE("100 % is all of them, and a folder that grows meanwhile does not break the line") {
  Progress progress = kMidway;
  progress.done = 999;
  CHECK(format_progress(progress, 79, false).find("999/1000  99 %") != std::string::npos);
  progress.done = 1000;
  CHECK(format_progress(progress, 79, false) ==
        "[========================]  1000/1000  100 %  25.0 images/s  ETA 0:00  3 errors");
  progress.done = 1100;
  CHECK(format_progress(progress, 79, false).find("1100/1100  100 %") != std::string::npos);
}

TEST_CASE("without a total the line tells the time since the start") {
  Progress progress{.done = 12, .elapsed_s = 3723.5, .images_per_s = 0.25};
  CHECK(format_progress(progress, 79, true) == "12 images  0.25 images/s  1:02:03");
  progress.found = 5000;
  CHECK(format_progress(progress, 79, true) == "12 of 5000 or more  0.25 images/s  1:02:03");
  progress.all_found = true;
  CHECK(format_progress(progress, 79, false).find("ETA 5:32:32") != std::string::npos);
  progress.found = 5'000'000;
  CHECK(format_progress(progress, 79, false).find("ETA 231 d 11:32") != std::string::npos);
  progress.images_per_s = 0;
  CHECK(format_progress(progress, 79, false).find("1:02:03") != std::string::npos);
  CHECK(!format_progress({}, 79, false).empty());
}

TEST_CASE("the rate is that of the last ten seconds") {
  RateMeter rate;
  CHECK(rate.update(0, 0) == 0);
  CHECK(rate.update(1, 5) == 5);
  CHECK(rate.update(2, 30) == 15);
  for (int second = 3; second <= 12; ++second) rate.update(second, 30 + 100 * (second - 2));
  CHECK(rate.update(13, 1130) == 100);
  for (int second = 14; second <= 23; ++second) rate.update(second, 1130);
  CHECK(rate.update(24, 1130) == 0);
}

TEST_CASE("progress is for people who would not see it otherwise") {
  CHECK(shows_progress({"a", "b"}, terminal()));
  CHECK_FALSE(shows_progress({"a", "b", "--progress", "never"}, terminal()));
  CHECK_FALSE(shows_progress({"a", "b", "-q"}, terminal()));

  Environment records_on_screen = terminal();
  records_on_screen.stdout_is_terminal = true;
  CHECK_FALSE(shows_progress({"a", "b"}, records_on_screen));
  CHECK(shows_progress({"--eval", "a"}, records_on_screen));

  Environment redirected = terminal();
  redirected.stderr_is_terminal = false;
  CHECK_FALSE(shows_progress({"a", "b"}, redirected));
  CHECK(shows_progress({"a", "b", "--progress=always"}, redirected));

  Environment dumb = terminal();
  dumb.variable = [](const char* name) { return std::string(name == std::string("TERM") ? "dumb" : ""); };
  CHECK_FALSE(shows_progress({"a", "b"}, dumb));
}
