#include "cli/line_by_line.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "cli/options.h"
#include "cli/picture_name.h"
#include "cli/prompt_file.h"
#include "tensor/errors.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

void say(const std::exception& error) {
  std::fprintf(stderr, "paligemma: %s\n", printable(error.what()).c_str());
}

// "/image" of "/image FILE"; nothing if the line is a prompt.
std::string_view command_of(std::string_view line) {
  return line.substr(0, line.starts_with('/') ? line.find_first_of(" \t") : 0);
}

}  // namespace

void line_by_line(const std::function<void(const std::string&)>& look_at,
                  const std::function<void(const std::string&)>& ask) {
  const bool at_terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  if (at_terminal) std::fputs("One prompt a line; /image FILE, /quit, or Ctrl-D.\n", stderr);
  bool is_first = true;
  std::string line;
  for (;;) {
    if (at_terminal) std::fputs("> ", stderr);
    if (!std::getline(std::cin, line)) return;
    if (line.ends_with('\r')) line.pop_back();
    if (is_first) line = std::string(without_byte_order_mark(line));
    is_first = false;
    const std::string_view command = command_of(line);
    if (command == "/quit" || command == "/exit") return;
    try {
      if (command == "/image") {
        const std::string picture = unquoted(std::string_view(line).substr(command.size()));
        if (picture.empty()) throw UsageError("/image FILE: which file?");
        if (picture == "-") throw ImageError("standard input is where the prompts come from");
        look_at(picture);
      } else if (!command.empty()) {
        throw PromptError("there are only /image FILE, /quit and /exit");
      } else if (!line.empty()) {
        ask(line);
      }
    } catch (const ImageError& error) {
      say(error);
    } catch (const PromptError& error) {
      say(error);
    } catch (const UsageError& error) {
      say(error);
    }
  }
}

}  // namespace paligemma::cli
