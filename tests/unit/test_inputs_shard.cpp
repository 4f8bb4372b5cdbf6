#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/base/usage_error.h"
#include "app/inputs/named_source.h"
#include "app/inputs/shard.h"
#include "support/catch.h"

using namespace mnv2::app;
using Variables = std::map<std::string, std::string>;

namespace {

Shard parse(const std::string& text, const Variables& variables = {}) {
  return parse_shard(text, [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

std::string error_of(const std::string& text, const Variables& variables = {}) {
  try {
    parse(text, variables);
    return "accepted";
  } catch (const UsageError& e) {
    return e.what();
  }
}

Variables slurm_array(const char* id, const char* min, const char* max, const char* count) {
  return {{"SLURM_ARRAY_TASK_ID", id},
          {"SLURM_ARRAY_TASK_MIN", min},
          {"SLURM_ARRAY_TASK_MAX", max},
          {"SLURM_ARRAY_TASK_COUNT", count}};
}

}  // namespace

// Computed in Python from the two definitions. They may never change: people merge shards of several
// versions.
TEST_CASE("the hash of a path is the documented one") {
  CHECK(path_hash("") == 0xefd01f60ba992926);
  CHECK(path_hash("a") == 0x82a2a958a9bece5b);
  CHECK(path_hash("photos/0001.jpg") == 0xc027e29f5189b56d);
  CHECK(path_hash("photos/0002.jpg") == 0x1f192e4f39107519);
  CHECK(path_hash("\xc3\xa4.png") == 0x07a61a8ca2b2acff);
  CHECK(path_hash("\xff\xfe") == 0x75c9056eb1c4b960);
  CHECK(Shard{.index = 6, .count = 8}.has("photos/0001.jpg"));
  CHECK(Shard{.index = 2, .count = 8}.has("photos/0002.jpg"));
}

TEST_CASE("every path is in exactly one shard, and shards are of about one size") {
  for (const std::uint64_t count : {1u, 2u, 3u, 7u, 16u}) {
    std::vector<int> sizes(count, 0);
    for (int i = 0; i < 4000; ++i) {
      const std::string path = "photos/" + std::to_string(i) + ".jpg";
      int shards = 0;
      for (std::uint64_t index = 1; index <= count; ++index) {
        if (!Shard{index, count}.has(path)) continue;
        ++shards;
        ++sizes[index - 1];
      }
      REQUIRE(shards == 1);
    }
    for (const int size : sizes) {
      INFO(count);
      CHECK(size > 0.75 * 4000 / static_cast<double>(count));
      CHECK(size < 1.25 * 4000 / static_cast<double>(count));
    }
  }
}

TEST_CASE("a shard is I/N with I from 1 to N") {
  CHECK(parse("1/1") == Shard{1, 1});
  CHECK(parse("3/16") == Shard{3, 16});
  CHECK(error_of("0/4") == "--shard: '0' is not a whole number from 1 to 4");
  CHECK(error_of("5/4") == "--shard: '5' is not a whole number from 1 to 4");
  CHECK(error_of("1/0") == "--shard: '0' is not a whole number from 1 to 1000000000");
  CHECK(error_of("-1/4") == "--shard: '-1' is not a whole number from 1 to 4");
  CHECK(error_of("1/") == "--shard: '' is not a whole number from 1 to 1000000000");
  CHECK(error_of("1/2/3") == "--shard: '2/3' is not a whole number from 1 to 1000000000");
  CHECK(error_of("3") == "--shard: '3' is neither I/N, as 1/8, nor slurm");
  CHECK(error_of("") == "--shard: '' is neither I/N, as 1/8, nor slurm");
}

TEST_CASE("slurm's arrays number their tasks from anywhere, in any steps") {
  CHECK(parse("slurm", slurm_array("1", "1", "4", "4")) == Shard{1, 4});
  CHECK(parse("slurm", slurm_array("4", "1", "4", "4")) == Shard{4, 4});
  CHECK(parse("slurm", slurm_array("0", "0", "7", "8")) == Shard{1, 8});
  CHECK(parse("slurm", slurm_array("7", "3", "9", "4")) == Shard{3, 4});  // --array=3-9:2
  CHECK(parse("slurm", slurm_array("5", "5", "5", "1")) == Shard{1, 1});
  CHECK(parse("slurm", {{"SLURM_ARRAY_TASK_ID", "3"}, {"SLURM_ARRAY_TASK_COUNT", "4"}}) == Shard{3, 4});
}

TEST_CASE("outside of an array job, and for a list of tasks, --shard slurm says what is wrong") {
  CHECK(
      error_of("slurm") ==
      "--shard slurm: $SLURM_ARRAY_TASK_ID is not set; it is in tasks of an array job (sbatch --array=1-N)");
  CHECK(error_of("slurm", {{"SLURM_ARRAY_TASK_ID", "1"}}).find("$SLURM_ARRAY_TASK_COUNT is not set") !=
        std::string::npos);
  CHECK(error_of("slurm", slurm_array("1", "", "4", "4")).find("$SLURM_ARRAY_TASK_MIN is not set") !=
        std::string::npos);
  CHECK(error_of("slurm", {{"SLURM_ARRAY_TASK_ID", "0"}, {"SLURM_ARRAY_TASK_COUNT", "4"}}).find("no range") !=
        std::string::npos);
  CHECK(error_of("slurm", slurm_array("x", "1", "4", "4")) ==
        "--shard slurm: $SLURM_ARRAY_TASK_ID: 'x' is not a whole number from 0 to 1000000000");
  CHECK(
      error_of("slurm", slurm_array("3", "0", "7", "3")) ==
      "--shard slurm: the array's 3 tasks from 0 to 7 and task 3 are no range; for a list of tasks name the "
      "shard, as --shard I/N");
  for (const Variables& wrong :
       {slurm_array("5", "1", "4", "4"), slurm_array("0", "1", "4", "4"), slurm_array("1", "1", "4", "0"),
        slurm_array("1", "1", "4", "1"), slurm_array("1", "1", "1", "2"), slurm_array("2", "1", "5", "3"),
        slurm_array("1", "4", "1", "4"), slurm_array("1", "1", "2", "9")})
    CHECK(error_of("slurm", wrong).find("are no range") != std::string::npos);
}

TEST_CASE("the shards of a source have all of it together, each in its order") {
  NamedInputs named;
  for (int i = 0; i < 100; ++i) named.paths.push_back(std::to_string(i));
  std::vector<std::string> found;
  for (std::uint64_t index = 1; index <= 3; ++index) {
    ShardFilter filter(std::make_unique<NamedSource>(named), {.index = index, .count = 3});
    int last = -1;
    while (const std::optional<Input> input = filter.next()) {
      CHECK(std::stoi(input->path) > last);
      last = std::stoi(input->path);
      found.push_back(input->path);
    }
  }
  std::sort(found.begin(), found.end());
  std::sort(named.paths.begin(), named.paths.end());
  CHECK(found == named.paths);
}
