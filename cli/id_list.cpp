#include "cli/id_list.h"

#include <charconv>

#include "cli/options.h"

namespace paligemma::cli {

std::vector<int> id_list(const std::string& flag, const std::string& text, std::int64_t below) {
  std::vector<int> ids;
  const char *at = text.data(), *end = at + text.size();
  while (true) {
    int id = -1;
    const auto [behind, error] = std::from_chars(at, end, id);
    const bool is_id = error == std::errc() && 0 <= id && id < below;
    if (!is_id || (behind != end && *behind != ',')) {
      throw UsageError(flag + " " + text + ": must be ids from 0 to " + std::to_string(below - 1) +
                       ", separated by commas");
    }
    ids.push_back(id);
    if (behind == end) return ids;
    at = behind + 1;
  }
}

}  // namespace paligemma::cli
