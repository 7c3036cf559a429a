// What is asked for by a line of --jsonl:
//
//   {"id": 7, "image": "cats/1.jpg", "prompt": "caption en", "max_tokens": 20}
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/view.h"

namespace paligemma::cli {

struct Job {
  Index line = 0;                        // from 1
  std::string id = {};                   // as JSON; empty if there is none
  std::vector<std::string> images = {};  // as the line has them
  std::vector<std::filesystem::path> files = {};
  std::string prompt = {};
  std::optional<Index> max_tokens = {};
  std::string error = {};  // why it is not answered, or empty
};

// "images" is a list, for a prompt about several; other fields than these are nobody's business. Names of
// pictures are relative to `folder`. Never throws for what stands in the line.
Job read_job(std::string_view text, Index line, const std::filesystem::path& folder);

}  // namespace paligemma::cli
