// The picture that is decoded while the model is loaded: as one decoded when its turn comes, errors included.
#include <filesystem>
#include <string>
#include <vector>

#include "app/pipeline/picture.h"
#include "mnv2/error.h"
#include "support/catch.h"
#include "support/expect_error.h"
#include "support/image_bytes.h"
#include "support/temp_dir.h"

using namespace mnv2;
using namespace mnv2::app;
using mnv2::test::TempDir;

namespace {

/// Two grey pixels, one above the other, as a PNG.
std::string two_pixels(std::uint8_t upper, std::uint8_t lower) {
  const auto bytes = ::test::png(::test::ihdr(1, 2, 8, 0), {0, upper, 0, lower});
  return {bytes.begin(), bytes.end()};
}

std::vector<int> pixels(const Picture& picture) {
  std::vector<int> values;
  for (int y = 0; y < picture.decoded.view.height; ++y)
    values.push_back(picture.decoded.view.data[y * picture.decoded.view.row_bytes]);
  return values;
}

}  // namespace

TEST_CASE("early picture: that of the only image, once") {
  const TempDir dir;
  const std::string path = (dir / "a.png").string();
  mnv2::test::write_file(path, two_pixels(30, 200));
  EarlyPicture early(path, {});
  CHECK_FALSE(early.take((dir / "b.png").string()).has_value());
  std::optional<Picture> picture = early.take(path);
  REQUIRE(picture.has_value());
  CHECK(pixels(*picture) == std::vector<int>{30, 200});
  picture->drop_pixels();
  CHECK(picture->decoded.pixels == nullptr);
  CHECK_FALSE(early.take(path).has_value());
}

TEST_CASE("early picture: as the plan has it, errors included") {
  const TempDir dir;
  const std::string path = (dir / "a.png").string();
  mnv2::test::write_file(path, two_pixels(7, 9));
  PicturePlan plan;
  {
    EarlyPicture early(path, plan);
    CHECK(pixels(early.take(path).value()) == std::vector<int>{7, 9});
  }
  plan.max_pixels = 1;
  EarlyPicture too_large(path, plan);
  CHECK(mnv2::test::error_message(ErrorCode::image_too_large, [&] { too_large.take(path); }) ==
        mnv2::test::error_message(ErrorCode::image_too_large, [&] {
          ImageMemory memory(1);
          load_picture(path, plan, 0, memory);
        }));
  std::filesystem::remove(path);
  EarlyPicture missing(path, plan);
  mnv2::test::error_message(ErrorCode::file_not_found, [&] { missing.take(path); });
  EarlyPicture{path, plan};  // not taken: its thread ends with it, and so does its error
}
