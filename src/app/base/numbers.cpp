#include "app/base/numbers.h"

#include <algorithm>

namespace mnv2::app {

std::vector<int> parse_number_list(const std::string& flag, const std::string& text, int min, int max) {
  std::vector<int> numbers;
  const auto add_range = [&](int first, int last) {
    for (int number = first; number <= last; ++number) {
      if (std::find(numbers.begin(), numbers.end(), number) != numbers.end()) continue;
      if (numbers.size() == kMaxListLength)
        throw UsageError(flag + ": '" + text + "' has more than " + std::to_string(kMaxListLength) +
                         " numbers");
      numbers.push_back(number);
    }
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t dash = item.find('-', 1);  // from 1: "-3" is a number, and out of range
    const int first = parse_number(flag, item.substr(0, dash), min, max);
    const int last = dash == std::string::npos ? first : parse_number(flag, item.substr(dash + 1), min, max);
    if (last < first) throw UsageError(flag + ": '" + item + "' is a range that ends before it begins");
    add_range(first, last);
  }
  return numbers;
}

}  // namespace mnv2::app
