// Where tests find the files that they read: the source tree that they were built from, or the folder
// that PG_SOURCE_DIR in the environment names, if they were carried to another machine.
#pragma once

#include <cstdlib>
#include <string>

#include "cli/source_tree.h"

namespace paligemma::test {

inline std::string source_dir() {
  const char* elsewhere = std::getenv("PG_SOURCE_DIR");
  return elsewhere != nullptr ? elsewhere : kSourceTree;
}

}  // namespace paligemma::test
