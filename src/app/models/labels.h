// Names of classes.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace mnv2::app {

/// Reads a labels file: a JSON list of strings; a JSON object that has a string, or a list that ends with it, for the
/// index of each class, also as "id2label" in it; or text with one label a line in the order of the classes (UTF-8; CRLF
/// and a byte order mark are fine).
/// @throws UsageError when it cannot be read or understood, or does not have exactly `num_classes` labels.
std::vector<std::string> read_labels(const std::string& path, int num_classes);

/// The label of class `index`, "class 17" where the model has none.
std::string label_of(std::span<const std::string> labels, int index);

}  // namespace mnv2::app
