// As jpeg_fuzz, by stb_image (CMakeLists.txt).
#include "tests/fuzz/jpeg_fuzz.cpp"  // NOLINT(bugprone-suspicious-include)
