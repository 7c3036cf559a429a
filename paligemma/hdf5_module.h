// What the module that is linked with libhdf5 has for the program that loads it.
#pragma once

#include <cstddef>

namespace paligemma {

struct Hdf5Dataset {
  const char* path;   // "layers/dense/vars/0"
  const char* dtype;  // as safetensors calls it, or a few words on a type that has no name there
  const std::ptrdiff_t* shape;  // of `rank` axes
  int rank;
  std::ptrdiff_t
      offset;  // of its numbers in the file; -1 where they do not lie in one stretch as they are
  std::ptrdiff_t bytes;
};

}  // namespace paligemma

// Tells of every dataset of the file at `path`. Returns null, or why not all of them could be told.
extern "C" const char* paligemma_hdf5_datasets(
    const char* path, void (*tell)(void* who, const paligemma::Hdf5Dataset& dataset), void* who);
