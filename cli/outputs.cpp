#include "cli/outputs.h"

#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cli/picture_name.h"
#include "tensor/write_file.h"

namespace paligemma::cli {

namespace fs = std::filesystem;

namespace {

// By whatever names, links among them.
bool are_one_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return a == b || fs::equivalent(a, b, error);
}

void check_not_read(const char* flag, const std::string& output,
                    const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    const fs::path read = input == "-" ? "/dev/stdin" : input;
    if (output.empty() || output == "-" || input.empty() || !are_one_file(output, read)) continue;
    throw UsageError(std::string(flag) + " " + output + ": would write over " +
                     (input == "-" ? "standard input" : input) + ", which is read");
  }
}

void write(std::ostream& stream, const char* name, std::string_view bytes) {
  stream << bytes << std::flush;
  if (!stream) throw std::runtime_error(std::string(name) + " cannot be written");
}

}  // namespace

void check_outputs(const Options& o) {
  const bool is_stdout = o.output == "-";
  if (o.command == Command::embed) {
    if (!o.output.empty() && !o.output.ends_with(".npy"))
      throw UsageError("--output " + o.output + ": must end in .npy");
  } else if (!o.output.empty() && !is_stdout && !image_format_of(o.output)) {
    throw UsageError("--output " + o.output + ": must end in .png, .jpg, .jpeg, .bmp or .tga, " +
                     "or be -, a PNG on standard output");
  }
  if (!o.trace.empty() && are_one_file(o.output, o.trace)) {
    throw UsageError("--output " + o.output + ": --trace writes there too");
  }
  for (const std::string& picture : o.images) check_not_written(o, picture);
  if (!o.pixels.empty()) check_not_written(o, o.pixels);
  for (const auto& [flag, file] :
       {std::pair{"--output", o.output}, std::pair{"--trace", o.trace}}) {
    check_not_read(flag, file, {o.model, o.tokenizer, o.mask_decoder, o.prompt_file});
    if (!file.empty() && !(is_stdout && file == "-")) check_writable(file);
  }
}

void check_not_written(const Options& options, const std::string& picture) {
  const std::string path = picture_path(picture);
  check_not_read("--output", options.output, {path});
  check_not_read("--trace", options.trace, {path});
}

void write_answer(const Options& options, std::string_view text) {
  if (options.output == "-") {
    write(std::cerr, "standard error", text);
  } else {
    write(std::cout, "standard output", text);
  }
}

void write_picture(const Options& options, View<const std::uint8_t, 3> picture) {
  if (options.output == "-") {
    write(std::cout, "standard output", encode_image(picture, ImageFormat::png));
  } else {
    write_image(options.output, picture);
  }
}

}  // namespace paligemma::cli
