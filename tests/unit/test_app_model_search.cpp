#include <filesystem>
#include <string>
#include <vector>

#include "app/models/model_search.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace mnv2::app;
using mnv2::test::TempDir;
using mnv2::test::write_file;
using Paths = std::vector<std::string>;

namespace {

/// The candidates for ImageNet's model: those before the ones for the model that stands in.
Paths first_half(const ModelSearch& search) {
  const Paths all = model_candidates(search);
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2)};
}

}  // namespace

TEST_CASE("a path named by flag or variable stands alone, the flag first") {
  CHECK(model_candidates({.flag = "./a", .mnv2_model = "./b", .home = "/h"}) == Paths{"./a"});
  CHECK(model_candidates({.mnv2_model = "./b", .home = "/h"}) == Paths{"./b"});
  CHECK(model_candidates({.flag = "a.safetensors", .home = "/h"}) == Paths{"a.safetensors"});
}

TEST_CASE("a bare name is looked for in every folder") {
  CHECK(model_candidates({.flag = "cats", .home = "/h", .xdg_data_dirs = "/one"}) ==
        Paths{"/h/.local/share/mnv2-classify/cats.safetensors", "/one/mnv2-classify/cats.safetensors"});
  CHECK(model_candidates({.mnv2_model = "imagenet", .xdg_data_dirs = "/one"}) ==
        Paths{"/one/mnv2-classify/mobilenet_v2.safetensors"});
}

TEST_CASE("the search goes through data home, data folders, install prefix and source tree") {
  const ModelSearch search{.xdg_data_home = "/data",
                           .home = "/h",
                           .xdg_data_dirs = "/one::relative:/two",
                           .program = "/opt/x/bin/mnv2-classify",
                           .source_models = "/src/models"};
  CHECK(model_candidates(search) ==
        Paths{"/data/mnv2-classify/mobilenet_v2.safetensors", "/one/mnv2-classify/mobilenet_v2.safetensors",
              "/two/mnv2-classify/mobilenet_v2.safetensors",
              "/opt/x/share/mnv2-classify/mobilenet_v2.safetensors", "/src/models/mobilenet_v2.safetensors",
              "/data/mnv2-classify/figure-kinds.safetensors", "/one/mnv2-classify/figure-kinds.safetensors",
              "/two/mnv2-classify/figure-kinds.safetensors",
              "/opt/x/share/mnv2-classify/figure-kinds.safetensors", "/src/models/figure-kinds.safetensors"});
  CHECK(stands_in(search, "/src/models/figure-kinds.safetensors"));
  CHECK(!stands_in(search, "/src/models/mobilenet_v2.safetensors"));
  CHECK(!stands_in({.flag = "figure-kinds"}, "/src/models/figure-kinds.safetensors"));
}

TEST_CASE("unset variables have the XDG defaults, and no path is tried twice") {
  CHECK(first_half({.home = "/h", .program = "/usr/bin/mnv2-classify"}) ==
        Paths{"/h/.local/share/mnv2-classify/mobilenet_v2.safetensors",
              "/usr/local/share/mnv2-classify/mobilenet_v2.safetensors",
              "/usr/share/mnv2-classify/mobilenet_v2.safetensors"});
  CHECK(model_candidates({.xdg_data_home = "relative", .home = "/h", .xdg_data_dirs = "/one"}).front() ==
        "/h/.local/share/mnv2-classify/mobilenet_v2.safetensors");
  CHECK(first_half({.xdg_data_dirs = "/one"}) == Paths{"/one/mnv2-classify/mobilenet_v2.safetensors"});
}

TEST_CASE("the first file that exists is found") {
  const TempDir temp;
  const auto in = [&](const char* folder) {
    return temp / folder / "mnv2-classify" / "mobilenet_v2.safetensors";
  };
  const ModelSearch search{.xdg_data_home = (temp / "home").string(),
                           .xdg_data_dirs = (temp / "one").string() + ":" + (temp / "two").string()};
  std::filesystem::create_directories(in("two").parent_path());
  write_file(in("two"), "x");
  CHECK(find_model(search) == in("two").string());
  std::filesystem::create_directories(in("home").parent_path());
  write_file(in("home"), "x");
  CHECK(find_model(search) == in("home").string());
}

TEST_CASE("what was not found is told with every path tried and a remedy") {
  const TempDir temp;
  try {
    find_model({.xdg_data_home = (temp / "home").string(), .xdg_data_dirs = (temp / "one").string()});
    FAIL("found a model in an empty folder");
  } catch (const ModelNotFound& e) {
    REQUIRE(e.details().size() >= 3);
    CHECK(e.details()[0] == "tried " + (temp / "home/mnv2-classify/mobilenet_v2.safetensors").string());
    CHECK(e.details()[1] == "tried " + (temp / "one/mnv2-classify/mobilenet_v2.safetensors").string());
    CHECK(e.details().back().find("convert_torchvision.py") != std::string::npos);
  }
  try {
    find_model({.mnv2_model = (temp / "missing").string(), .xdg_data_home = "/x"});
    FAIL("found a model that does not exist");
  } catch (const ModelNotFound& e) {
    CHECK(std::string(e.what()).find("from $MNV2_MODEL") != std::string::npos);
  }
}
