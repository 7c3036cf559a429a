#include "cli/line_by_line.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "cli/options.h"
#include "tensor/errors.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

void say(const std::exception& error) {
  std::fprintf(stderr, "paligemma: %s\n", printable(error.what()).c_str());
}

}  // namespace

void line_by_line(const std::function<void(const std::string&)>& look_at,
                  const std::function<void(const std::string&)>& ask) {
  const bool at_terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  if (at_terminal) std::fputs("One prompt a line; /image FILE, /quit, or Ctrl-D.\n", stderr);
  std::string line;
  for (;;) {
    if (at_terminal) std::fputs("> ", stderr);
    if (!std::getline(std::cin, line)) return;
    if (line.ends_with('\r')) line.pop_back();
    if (line == "/quit" || line == "/exit") return;
    try {
      if (line == "/image -") throw ImageError("standard input is where the prompts come from");
      if (line.starts_with("/image ")) {
        look_at(line.substr(7));
      } else if (line.starts_with('/')) {
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
