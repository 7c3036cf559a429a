// Files that are written whole or not at all: beside their place first, then renamed to it. What was there
// before is there until then, whatever fails. Pipes and devices are written to as they are.
#pragma once

#include <filesystem>
#include <string_view>

namespace paligemma {

// Throws std::runtime_error if the file cannot be written.
void write_file(const std::filesystem::path& path, std::string_view bytes);

// The same error, before there are bytes: as far as can be told without writing.
void check_writable(const std::filesystem::path& path);

}  // namespace paligemma
