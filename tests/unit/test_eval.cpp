#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "app/base/usage_error.h"
#include "app/eval/class_names.h"
#include "app/eval/csv_reader.h"
#include "app/eval/evaluation.h"
#include "app/eval/truth.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace mnv2::app;
using mnv2::test::TempDir;
using mnv2::test::write_file;
using Rows = std::vector<std::vector<std::string>>;

namespace {

Rows read_rows(const std::string& text) {
  const TempDir folder;
  write_file(folder / "t.csv", text);
  CsvReader reader("--truth", (folder / "t.csv").string());
  Rows rows;
  while (auto row = reader.next()) rows.push_back(std::move(*row));
  return rows;
}

std::string message_of(const std::string& text) {
  try {
    read_rows(text);
  } catch (const UsageError& e) {
    const std::string message = e.what();
    return message.substr(message.find(", line"));
  }
  return "no error";
}

std::vector<LabeledPrediction> predictions(const std::vector<int>& indexes) {
  std::vector<LabeledPrediction> top;
  for (const int index : indexes) top.push_back({index, "", 0.1f});
  return top;
}

}  // namespace

TEST_CASE("csv: rows, quotes, line ends") {
  CHECK(read_rows("") == Rows{});
  CHECK(read_rows("a,b\nc,d") == Rows{{"a", "b"}, {"c", "d"}});
  CHECK(read_rows("\xEF\xBB\xBF"
                  "a,b\r\n\r\n\nc,\r\n") == Rows{{"a", "b"}, {"c", ""}});
  CHECK(read_rows("\"a,\"\"b\"\"\nc\",d\n") == Rows{{"a,\"b\"\nc", "d"}});
  CHECK(read_rows("\"\"\n\"x\"\r\n") == Rows{{""}, {"x"}});
  CHECK(read_rows("ab,\xFF\n") == Rows{{"ab", "\xFF"}});
  const std::string wide(100'000, 'x');  // longer than what is read at once
  CHECK(read_rows(wide + "," + wide + "\n" + wide) == Rows{{wide, wide}, {wide}});
  CHECK(read_rows(",\n") == Rows{{"", ""}});
}

TEST_CASE("csv: errors name the line that the row began in") {
  CHECK(message_of("a\n\"b\nc") == ", line 2: a quote is not closed");
  CHECK(message_of("\"a\nb\"\n\"c\"d\n") == ", line 3: a quote in the middle of a field");
  CHECK(message_of("a\n" + std::string(2 << 20, 'x')) == ", line 2: a row of more than 1 MiB");
  CHECK_THROWS_AS(CsvReader("--truth", "/nonexistent/t.csv"), UsageError);
}

TEST_CASE("class names: label, folded label, index, and names of two classes") {
  const std::vector<std::string> labels{"tench", "Bar chart", "crane", "crane", "3", "a/b"};
  const ClassNames names(labels, 6);
  CHECK(names.find("tench") == 0);
  CHECK(names.find("bar_chart") == 1);
  CHECK(names.find("BAR-CHART") == 1);
  CHECK(names.find("2") == 2);
  CHECK(names.find("3") == 4);          // a label before an index
  CHECK(names.find("crane (2)") == 2);  // as --sort-into names the folders
  CHECK(names.find("crane (3)") == 3);
  CHECK(names.find("a_b") == 5);
  CHECK(names.try_find("crane (4)") == std::nullopt);
  CHECK(names.try_find("6") == std::nullopt);
  CHECK(names.try_find("-1") == std::nullopt);
  CHECK(names.try_find("") == std::nullopt);
  CHECK(names.try_find("tench ") == 0);
  CHECK_THROWS_AS(names.find("crane"), UsageError);
  CHECK_THROWS_AS(names.find("nothing"), UsageError);
}

TEST_CASE("an evaluation counts as a plain loop over all images does") {
  constexpr int kClasses = 7;
  std::mt19937 random(1);
  std::vector<std::pair<int, std::vector<int>>> images;
  for (int i = 0; i < 500; ++i) {
    std::vector<int> order{0, 1, 2, 3, 4, 5, 6};
    std::shuffle(order.begin(), order.end(), random);
    images.emplace_back(static_cast<int>(random() % 6), order);  // class 6 has no images
  }
  Evaluation evaluation(kClasses);
  for (const auto& [truth, order] : images) evaluation.add(truth, predictions(order));

  int top1 = 0, top5 = 0;
  double per_class = 0;
  for (int c = 0; c < 6; ++c) {
    int of_class = 0, right = 0;
    for (const auto& [truth, order] : images) {
      if (truth != c) continue;
      ++of_class;
      right += order[0] == c;
      for (int k = 0; k < 5; ++k) top5 += order[static_cast<std::size_t>(k)] == c;
    }
    top1 += right;
    per_class += static_cast<double>(right) / of_class / 6;
  }
  CHECK(evaluation.total().images == 500);
  CHECK(evaluation.total().top1 == top1);
  CHECK(evaluation.total().top5 == top5);
  CHECK(evaluation.mean_class_accuracy() > per_class - 1e-12);
  CHECK(evaluation.mean_class_accuracy() < per_class + 1e-12);

  const std::vector<Confusion> confused = evaluation.most_confused(3);
  REQUIRE(confused.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    int count = 0;
    for (const auto& [truth, order] : images)
      count += truth == confused[i].truth && order[0] == confused[i].predicted;
    CHECK(confused[i].images == count);
    CHECK(confused[i].truth != confused[i].predicted);
    if (i > 0) CHECK(confused[i].images <= confused[i - 1].images);
  }
}

TEST_CASE("fewer classes than five, and no image at all") {
  Evaluation evaluation(2);
  CHECK(evaluation.total().top1_accuracy() == 0);
  CHECK(evaluation.mean_class_accuracy() == 0);
  CHECK(evaluation.most_confused(5).empty());
  evaluation.add(1, predictions({0, 1}));
  CHECK(evaluation.total().top1 == 0);
  CHECK(evaluation.total().top5 == 1);
}

TEST_CASE("a table of truth: columns by name or by place") {
  const TempDir folder;
  const std::vector<std::string> labels{"cat", "dog"};
  const ClassNames names(labels, 2);
  const auto read = [&](const std::string& text, const std::string& root = "") {
    write_file(folder / "t.csv", text);
    TableTruth table("--truth", (folder / "t.csv").string(), root, names);
    std::vector<std::pair<std::string, int>> inputs;
    while (const auto input = table.next()) inputs.emplace_back(input->path, input->truth.value());
    return inputs;
  };
  using Inputs = std::vector<std::pair<std::string, int>>;
  CHECK(read("a.jpg,dog\n/b.jpg,0\n", "root") == Inputs{{"root/a.jpg", 1}, {"/b.jpg", 0}});
  CHECK(read("class_name,file,class_index\n?,x.jpg,1\n", "r/") == Inputs{{"r/x.jpg", 1}});
  CHECK(read("label,path\nCAT,x.jpg\n") == Inputs{{(folder / "x.jpg").string(), 0}});
  CHECK_THROWS_AS(read(""), UsageError);
  CHECK_THROWS_AS(read("file,name\nx,cat\n"), UsageError);
  CHECK_THROWS_AS(read("a.jpg\n"), UsageError);
  CHECK_THROWS_AS(read("a.jpg,bird\n"), UsageError);
  CHECK_THROWS_AS(read(",cat\n"), UsageError);
}
