// Runs work in a child process, so that this process survives if the work crashes or never ends.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace paligemma {

// Calls work(say) in a child, and returns the last line that it said, once the work has ended by itself, by a
// signal or at the time limit. If no child can be made, the work is done in this process.
//
// The child has none of this process's other threads, so the work must not wait for them.
using Say = std::function<void(const std::string& line)>;
std::string last_words(const std::function<void(const Say& say)>& work,
                       std::chrono::milliseconds limit = std::chrono::seconds(10));

}  // namespace paligemma
