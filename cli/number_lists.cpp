#include "cli/number_lists.h"

#include <charconv>
#include <cmath>
#include <string>
#include <vector>

namespace paligemma::cli {

Json list_of(View<const float, 1> numbers) {
  std::vector<Json> all;
  for (Index d = 0; d < numbers.size(0); ++d) {
    char text[32];
    const auto end = std::to_chars(std::begin(text), std::end(text), numbers(d)).ptr;
    all.push_back(std::isfinite(numbers(d)) ? Json::of_text(std::string(text, end)) : Json());
  }
  return array(all);
}

Json lists_of(View<const float, 2> rows) {
  std::vector<Json> all;
  for (Index t = 0; t < rows.size(0); ++t) all.push_back(list_of(rows.row(t)));
  return array(all);
}

}  // namespace paligemma::cli
