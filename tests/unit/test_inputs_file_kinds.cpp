#include <string>
#include <string_view>

#include "app/inputs/file_kinds.h"
#include "support/catch.h"

using namespace mnv2::app;
using namespace std::string_view_literals;

TEST_CASE("archives by their names") {
  for (const char* name : {"a.tar", "x/b.TAR.GZ", "c.tgz", "d.tar.zst", "e.tar.xz", "f.zip", "g.tar.bz2"})
    CHECK(has_archive_extension(name));
  for (const char* name : {"tar", ".tar", "a/.zip", "a.gz", "a.tar/b", "zip", "a.tarx", ""})
    CHECK_FALSE(has_archive_extension(name));
}

TEST_CASE("the first bytes of archives, as few as it takes") {
  for (const std::string_view bytes :
       {"\x1f\x8b"sv, "\x28\xb5\x2f\xfd\x01"sv, "\xfd\x37zXZ\0"sv, "BZh91AY&SY"sv, "PK\3\4"sv, "PK\5\6"sv}) {
    CHECK(archive_beginning(bytes) == Beginning::archive);
    CHECK(archive_beginning(bytes.substr(0, 1)) == Beginning::unknown);
  }
  std::string tar(512, '\0');
  CHECK(archive_beginning(tar) == Beginning::archive);  // one without members
  CHECK(archive_beginning(std::string_view(tar).substr(0, 261)) == Beginning::unknown);
  tar.replace(0, 5, "a.png");
  CHECK(archive_beginning(tar) == Beginning::other);
  tar.replace(257, 5, "ustar");
  CHECK(archive_beginning(tar) == Beginning::archive);
}

TEST_CASE("a list of paths is told from an archive by its first line") {
  for (const std::string_view list : {"a.png\n"sv, "BZh/a.png\n"sv, "PK.png\nb"sv, "\n"sv})
    CHECK(archive_beginning(list) == Beginning::other);
  for (const std::string_view begun : {""sv, "a.pn"sv, "B"sv, "BZh9"sv})
    CHECK(archive_beginning(begun) == Beginning::unknown);
  CHECK(archive_beginning(std::string(300, 'x')) == Beginning::other);
}

TEST_CASE("what is passed over is counted by its kind and told once") {
  PassedOver passed_over;
  CHECK(passed_over.take_images().empty());
  for (const char* name : {"a.heic", "b.GIF", "c.HEIC", "d.txt", "e.zip"}) passed_over.note(name);
  CHECK(passed_over.take_images() == "skipped 3 files: 2 .heic, 1 .gif");
  CHECK(passed_over.take_images().empty());
  CHECK(passed_over.take_archives() == 1);
  CHECK(passed_over.take_archives() == 0);
}
