// --embeddings: the pooled features of each input as a row of a NumPy array, and which row is which input.
#pragma once

#include <cstddef>
#include <string>

#include "app/results/output_file.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// The header of a NumPy file, format 1.0, of float32 [rows, columns]: always 128 bytes, so that it can be
/// written again when the number of rows is known.
std::string npy_header(std::size_t rows, std::size_t columns);

/// The file beside --embeddings that says which row is which input: "x.npy" has "x.index.csv".
std::string embedding_index_path(const std::string& npy_path);

/// Writes float32 [inputs, embedding_size] to `path`, row by row, and a CSV file with row, path and status
/// beside it. The row of a failed input is NaN. What a run that is cut short leaves is a whole array, too.
class EmbeddingSink : public Sink {
 public:
  /// @throws UsageError, Error{file_unreadable} for a file that cannot be written or rewound
  EmbeddingSink(const std::string& path, std::size_t embedding_size);

  Needs needs() const override { return {.embedding = true}; }
  void take(const Result& result) override;
  void finish(Ending ending) override;
  State state() const override;
  std::string error() const override;

 private:
  void begin();

  std::size_t embedding_size_;
  bool begun_ = false;
  std::size_t rows_ = 0;
  OutputFile array_;
  OutputFile index_;
};

}  // namespace mnv2::app
