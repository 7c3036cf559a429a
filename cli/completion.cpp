// Completions for bash: every flag and command, then files.
#include <iostream>

#include "cli/commands.h"

namespace paligemma::cli {

int run_completion_bash(const CLI::App& app) {
  std::string words;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
    for (const std::string& name : option->get_snames()) words += "-" + name + " ";
  }
  for (const CLI::App* command : app.get_subcommands({})) words += command->get_name() + " ";
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
