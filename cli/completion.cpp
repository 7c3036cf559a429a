// Completions for bash: every flag and command, then files.
#include <iostream>

#include "cli/command_line.h"
#include "cli/commands.h"

namespace paligemma::cli {

int run_completion_bash() {
  std::string words;
  for (const std::string& name : flags_and_commands()) words += name + " ";
  if (!words.empty()) words.pop_back();

  std::cout << "# source <(paligemma completion-bash)\n"
               "_paligemma() {\n"
               "  COMPREPLY=($(compgen -W '"
            << words
            << "' -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
               "}\n"
               "complete -o default -F _paligemma paligemma\n";
  return 0;
}

}  // namespace paligemma::cli
