// Names of folders for classes, made from their labels.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace mnv2::app {

/// A name for each class that every common file system takes, and no two alike, also where case does not
/// count: a label's '/', control characters and \:*?"<>| become '_', as do a leading dot and a dot or space
/// at the end; long ones are cut; where classes would share a name, each gets its index: "crane (134)" and
/// "crane (517)".
/// @param labels empty, or one for each class
std::vector<std::string> class_folders(std::span<const std::string> labels, int num_classes);

}  // namespace mnv2::app
