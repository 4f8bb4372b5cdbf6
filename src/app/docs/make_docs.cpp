// Writes the manual page and the completions: run by the build.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "app/cli/options.h"
#include "app/docs/docs.h"

namespace {

void write_file(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace mnv2::app;
  CLI::App app("Write the manual page and the completions of mnv2-classify.");
  std::string version, date, man, bash, zsh, fish;
  app.add_option("--version", version, "of the program")->required();
  app.add_option("--date", date, "of the manual page")->required();
  app.add_option("--man", man, "file to write")->required();
  app.add_option("--bash", bash, "file to write")->required();
  app.add_option("--zsh", zsh, "file to write")->required();
  app.add_option("--fish", fish, "file to write")->required();
  CLI11_PARSE(app, argc, argv)
  try {
    const auto groups = all_flags();
    write_file(man, man_page(groups, version, date));
    write_file(bash, bash_completion(groups));
    write_file(zsh, zsh_completion(groups));
    write_file(fish, fish_completion(groups));
  } catch (const std::exception& e) {
    std::cerr << "make_docs: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
