// What stands at a path: the questions of std::filesystem, asked so that they never throw. What cannot be
// looked up, be it a name too long, a loop of links or a folder that may not be entered, is not there.
#pragma once

#include <filesystem>

namespace paligemma {

inline bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

inline bool is_file(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

inline bool is_folder(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

inline bool is_device(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_character_file(path, error) ||
         std::filesystem::is_block_file(path, error);
}

}  // namespace paligemma
