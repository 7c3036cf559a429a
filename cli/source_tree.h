// Where this build's sources and programs lie. Only the file that CMake makes of cmake/source_tree.cpp.in
// holds these paths, so that everything else compiles to the same objects in every clone, and ccache finds
// them.
#pragma once

namespace paligemma {

extern const char* const kSourceTree;
extern const char* const kBuildTree;

}  // namespace paligemma
