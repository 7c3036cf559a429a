// A file that loses its bytes while it is mapped ends the program with one line and exit code 4, not with
// the signal.
#pragma once

namespace paligemma::cli {

// From now on, in all threads.
void report_files_cut_short();

}  // namespace paligemma::cli
