// Small random models for tests, and the writing of model files, good and bad, by code that shares nothing
// with the reader of src/model.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "mnv2/model.h"
#include "support/temp_dir.h"

namespace mnv2::test {

/// An inverted residual: expansion factor (1: no expand layer), output channels, stride of the depthwise
/// layer.
struct BlockSpec {
  int expand = 6;
  int out_c = 0;
  int stride = 1;
};

/// A network with ReLU6 everywhere but after projections and the classifier, a stem of stride 2, and a
/// residual wherever the shapes allow one. Layer names are filled in. Of one class it gives the score.
Architecture make_architecture(int stem_c, const std::vector<BlockSpec>& blocks, int head_c, int classes);

/// MobileNetV1's kind of network: no expansion (`expand` is 1), no residuals, ReLU6 after projections too, no head.
Architecture make_separable_architecture(int stem_c, const std::vector<BlockSpec>& blocks, int classes);

/// A fully connected layer.
struct DenseSpec {
  int out_c = 0;
  Clamp clamp = {};
};

/// Gives `architecture` these layers after the pooling, as an array: "classifier.0" and so on. One output is a score.
void set_dense(Architecture& architecture, const std::vector<DenseSpec>& layers);

/// Three blocks, one without expand, one residual, odd channel counts: enough for a command-line test.
Architecture tiny_architecture(int classes);

/// MobileNetV2 1.0 (Sandler et al. 2018, Table 2).
Architecture mobilenet_v2_architecture(int classes = 1000);

/// MobileNetV1 (Howard et al. 2017, Table 1) with width multiplier `alpha`.
Architecture mobilenet_v1_architecture(double alpha = 1.0, int classes = 1000);

/// A tensor as it goes into the file; nothing here has to be consistent, so that tests can write bad files.
struct FileTensor {
  std::string name;
  std::string dtype;                // "F32"
  std::vector<std::int64_t> shape;  // of `data` when consistent
  std::string data;                 // raw little-endian bytes
};

/// The contents of a safetensors file: the tensors in the order of their data.
struct ModelFile {
  std::map<std::string, std::string> metadata;
  std::vector<FileTensor> tensors;

  /// The tensor called `name`. @throws std::out_of_range
  FileTensor& tensor(const std::string& name);
  /// The bytes of the file.
  std::string serialize() const;
};

/// `header` with its length before it, padded so that the data starts at a multiple of 64, and `data`.
std::string serialize_safetensors(std::string header, const std::string& data);

/// The JSON texts of models/README.md.
std::string architecture_json(const Architecture& architecture);
std::string preprocessing_json(const Preprocessing& preprocessing);
std::string labels_json(const std::vector<std::string>& labels);

/// A complete model file with random weights from `seed`, scaled so that activations neither vanish nor
/// explode. The same seed gives the same file everywhere. No labels in the file when `labels` is empty.
ModelFile make_model_file(const Architecture& architecture, const Preprocessing& preprocessing = {},
                          const std::vector<std::string>& labels = {}, std::uint32_t seed = 1);

/// Makes it a file of version 4, with random means of the inputs of all layers of `architecture` but the depthwise ones.
void add_input_means(ModelFile& file, const Architecture& architecture, std::uint32_t seed = 1);

/// The bytes of make_model_file().
std::string serialize_model(const Architecture& architecture, const Preprocessing& preprocessing = {},
                            const std::vector<std::string>& labels = {}, std::uint32_t seed = 1);

/// "class 0", "class 1", ...
std::vector<std::string> numbered_labels(int classes);

}  // namespace mnv2::test
