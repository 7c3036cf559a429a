// What is asked for by a line of --jsonl:
//
//   {"id": 7, "image": "cats/1.jpg", "prompt": "caption en", "max_tokens": 20}
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "tensor/view.h"

namespace paligemma::cli {

struct Job {
  Index line = 0;          // from 1
  std::string id = {};     // as JSON; empty if there is none
  std::string image = {};  // as the line has it
  std::filesystem::path file = {};
  std::string prompt = {};
  std::optional<Index> max_tokens = {};
  std::string error = {};  // why it is not answered, or empty
};

// "image" may be "images", a list; other fields than these are nobody's business. Names of pictures are relative to
// `folder`. Never throws for what stands in the line.
Job read_job(std::string_view text, Index line, const std::filesystem::path& folder);

}  // namespace paligemma::cli
