// tests/golden/zeta/tables.npz: slopes, buckets, filtered logits, as zeta makes them without a model.
#pragma once

#include <string>

#include "tensor/npz.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

inline NpyArray zeta_table(const std::string& name) {
  static NpzFile file(source_dir() + "/tests/golden/zeta/tables.npz");
  return file.read(name);
}

}  // namespace paligemma::test
