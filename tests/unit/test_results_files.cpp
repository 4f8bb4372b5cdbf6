#include <string>
#include <vector>

#include "app/results/class_folders.h"
#include "app/results/csv.h"
#include "app/results/done_paths.h"
#include "app/results/embedding_sink.h"
#include "app/results/journal.h"
#include "app/results/writer.h"
#include "support/catch.h"

using namespace mnv2::app;

TEST_CASE("a record as a line of CSV, to the byte") {
  Record record{.path = "a,\"b\"\n\xff.jpg"};
  record.width = 4;
  record.height = 3;
  record.top = {{7, "seven", 0.75f}, {1, "one", 1e-7f}};
  record.warnings = {"odd", "very odd"};
  CHECK(csv_header({.predictions = 2}) ==
        "path,status,width,height,index1,label1,probability1,index2,label2,probability2,error_code,error_"
        "message,"
        "warnings\r\n");
  CHECK(csv_record(record, 2) ==
        "\"a,\"\"b\"\"\n\xff.jpg\",ok,4,3,7,seven,0.75,1,one,1e-07,,,odd; very odd\r\n");
  record.top.pop_back();
  CHECK(csv_record(record, 2) == "\"a,\"\"b\"\"\n\xff.jpg\",ok,4,3,7,seven,0.75,,,,,,odd; very odd\r\n");
  const Record failed{.path = "x", .error = RecordError{mnv2::ErrorCode::damaged_image, "ends early, so"}};
  CHECK(csv_record(failed, 1) == "x,error,,,,,,damaged_image,\"ends early, so\",\r\n");
}

TEST_CASE("a line of CSV is read back, and no beginning of it is taken for the whole") {
  const std::string text = "\"a,\"\"b\"\"\r\nc\",ok,,\"\"\r\n";
  const CsvLine line = parse_csv_line(text + "next");
  CHECK(line.state == CsvLine::State::whole);
  CHECK(line.bytes == text.size());
  CHECK(line.fields == std::vector<std::string>{"a,\"b\"\r\nc", "ok", "", ""});
  for (std::size_t size = 0; size < text.size(); ++size)
    CHECK(parse_csv_line(text.substr(0, size)).state == CsvLine::State::torn);
  for (const std::string bad : {"a\"b,c\n", "\"a\"b,c\n", "\"a\n\"b\n"}) {
    const CsvLine malformed = parse_csv_line(bad);
    CHECK(malformed.state == CsvLine::State::malformed);
    CHECK(malformed.bytes == bad.find('\n') + 1);
  }
}

TEST_CASE("base64 is read back") {
  std::string bytes;
  for (int i = 0; i < 20; ++i) {
    CHECK(from_base64(base64(bytes)) == bytes);
    bytes += static_cast<char>(i * 37);
  }
  CHECK(from_base64("Zm9v") == "foo");
  CHECK(from_base64("Zg==") == "f");
  for (const char* bad : {"Zg=", "Zg", "Z===", "Zm9v\n", "====", "Zg==Zg=="}) CHECK_FALSE(from_base64(bad));
}

TEST_CASE("a path is done as often as it was added") {
  DonePaths done;
  for (int i = 0; i < 1000; ++i) done.add("photos/" + std::to_string(i));
  done.add("photos/7");
  done.seal();
  CHECK_FALSE(done.take("photos/1000"));
  CHECK_FALSE(done.take(""));
  for (int i = 0; i < 1000; ++i) CHECK(done.take("photos/" + std::to_string(i)));
  CHECK(done.take("photos/7"));
  CHECK_FALSE(done.take("photos/7"));
  CHECK_FALSE(done.take("photos/8"));
}

TEST_CASE("lines of a journal say which path has a record") {
  const auto json = [](const std::string& text) { return parse_journal_line(text, Layout::json_lines); };
  const Record odd{.path = "\xff\n.png", .error = RecordError{mnv2::ErrorCode::damaged_image, "no"}};
  for (const Layout layout : {Layout::json_lines, Layout::csv}) {
    const JournalLine line = parse_journal_line(format_record(odd, layout, 2), layout);
    CHECK(line.state == JournalLine::State::record);
    CHECK(line.path == odd.path);
    CHECK(line.failed);
  }
  CHECK(json(R"({"path":"a","status":"ok"})").state == JournalLine::State::torn);
  for (const char* foreign :
       {"\n", "[]\n", "{\"path\":1,\"status\":\"ok\"}\n", "{\"path\":\"a\",\"status\":\"new\"}\n",
        "{\"path\":\"a\",\"status\":\"ok\",\"path_base64\":\"?\"}\n"})
    CHECK(json(foreign).state == JournalLine::State::foreign);
}

TEST_CASE("the header of an NPY file has room for any shape") {
  const std::string header = npy_header(3, 1280);
  CHECK(header.size() == 128);
  CHECK(npy_header(~std::size_t{0}, 65536).size() == 128);
  CHECK(header.substr(0, 10) == std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  CHECK(header.substr(10, 62) == "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1280), }");
  CHECK(header.back() == '\n');
}

TEST_CASE("folders of classes are safe and no two alike") {
  const std::vector<std::string> labels{"crane",     "Crane", "a/b\\c", "..",      "",
                                        "crane (0)", "x. ",   "\n",     "class 4", std::string(300, 'x')};
  CHECK(class_folders(labels, 10) == std::vector<std::string>{"crane (0) (0)", "Crane (1)", "a_b_c", "__",
                                                              "class 4 (4)", "crane (0) (5)", "x._", "_",
                                                              "class 4 (8)", std::string(200, 'x')});
  CHECK(class_folders({}, 2) == std::vector<std::string>{"class 0", "class 1"});
}
