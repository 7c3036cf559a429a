// Where -o puts the picture, and where the answer goes then: "-o -" is a PNG on standard output, and the
// answer takes standard error.
#pragma once

#include <string>
#include <string_view>

#include "cli/options.h"
#include "processing/write_image.h"

namespace paligemma::cli {

// Before there is any work: -o is a picture by its name, -o and --trace can be written, and neither is a
// file that is read. Throws UsageError, or std::runtime_error for a place where nothing can be written.
void check_outputs(const Options& options);

// "-" is standard input. Throws UsageError if -o or --trace would write over this picture.
void check_not_written(const Options& options, const std::string& picture);

void write_answer(const Options& options, std::string_view text);

void write_picture(const Options& options, View<const std::uint8_t, 3> picture);

}  // namespace paligemma::cli
