cmake_minimum_required(VERSION 3.25)
# Writes OUTPUT, a source that holds a hash of the OBJECTS: fast/core/proof_cache.h.
set(hashes "")
foreach(object IN LISTS OBJECTS)
  file(SHA256 ${object} hash)
  string(APPEND hashes ${hash})
endforeach()
string(SHA256 hash "${hashes}")
string(SUBSTRING ${hash} 0 16 hash)
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
// Made by CMake of the kernels' objects.
#include "fast/core/proof_cache.h"

namespace paligemma {

constinit const char* const kKernelBuild = "@hash@";

}  // namespace paligemma
]] @ONLY)
