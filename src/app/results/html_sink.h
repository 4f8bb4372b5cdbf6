// --html: a report for people, one page with everything in it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "app/results/output_file.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// Writes the page (results/report/) with the records and a thumbnail for each, block by block: what is in
/// memory does not grow with their number. Of a run that is cut short the page says so.
class HtmlSink : public Sink {
 public:
  struct Settings {
    std::string model = {};                // its file name, for the heading
    std::vector<std::string> labels = {};  // to name the true classes with, where they are known
    int classes = 0;                       // of the model
    bool probabilities = true;             // else the predictions have scores
    bool independent = false;              // each label is there or not, whatever the others
    bool evaluation = false;               // the page is about how often the model is right
  };

  /// @throws UsageError, Error{file_unreadable} for a file that cannot be written
  HtmlSink(const std::string& path, const Settings& settings);

  Needs needs() const override { return {.thumbnail = true}; }
  void take(const Result& result) override;
  void finish(Ending ending) override;
  State state() const override { return file_.output().state(); }
  std::string error() const override { return file_.output().error(); }

 private:
  void begin();
  void write_block();

  OutputFile file_;
  std::string beginning_;    // what is written before the first record
  std::size_t waiting_ = 0;  // records of the block that is not written yet
  std::string records_;      // of it, JSON with commas between them
  std::string truths_;       // and the index of the true class, or null, of each
  std::string thumbnails_;   // and a line of base64 for each
};

/// The page without records: all that stands before them.
std::string_view report_page();

/// `json` for a script element, which ends at "</script" and is confused by "<!--" wherever they stand.
std::string json_in_html(std::string_view json);

}  // namespace mnv2::app
