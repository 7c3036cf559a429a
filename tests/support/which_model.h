// Which model the program takes, as its answer to one question says.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"

namespace paligemma::test {

inline std::vector<std::string> ask(const std::vector<std::string>& more) {
  std::vector<std::string> words{"--image", kPicture, "-p", "ocr", "-n", "1", "--json"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

inline nlohmann::json model_of(const Ran& ran) {
  EXPECT_EQ(ran.exit_code, 0) << ran;
  return nlohmann::json::parse(ran.out, nullptr, false)["model"];
}

}  // namespace paligemma::test
