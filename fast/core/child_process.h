// Work in a child process, so that this one survives whatever becomes of it.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace paligemma {

// Calls work(say) in a child, and returns what it said last: by then the work has ended, or a signal or the
// limit ended it. What is said is one line. Where no child can be made, the work is done here.
//
// Other threads of this process are not in the child, so the work must not wait for any.
using Say = std::function<void(const std::string& line)>;
std::string last_words(const std::function<void(const Say& say)>& work,
                       std::chrono::milliseconds limit = std::chrono::seconds(10));

}  // namespace paligemma
