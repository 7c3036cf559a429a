// The front door: reads the command line, calls one command, and turns every exception into one line
// on stderr and an exit code.
//
//   0 ok    1 something went wrong    2 usage: a flag, an argument or a prompt
//   3 model or tokenizer not found    4 a model's file is corrupt or not supported
//   5 the picture cannot be read      130 interrupted    143 terminated
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <new>
#include <stdexcept>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/cut_short.h"
#include "cli/kernel_programs.h"
#include "cli/prompt_file.h"
#include "cli/spelling.h"
#include "commit.h"
#include "processing/image_file.h"
#include "tensor/errors.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

int fail(int exit_code, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::fprintf(stderr, "paligemma: %s\n", printable(message).c_str());
  return exit_code;
}

// The picture stands first behind a command, unless --image has named it.
void take_picture(Options& options) {
  if (!options.images.empty() || !options.pixels.empty()) return;
  if (options.things.empty()) throw UsageError("give a picture");
  options.images.push_back(options.things.front());
  options.things.erase(options.things.begin());
}

// "caption photo.jpg": nothing but a picture.
void take_only_picture(Options& options) {
  take_picture(options);
  if (!options.things.empty())
    throw UsageError("one picture only: what is " + options.things[0] + "?");
}

// "answer photo.jpg what is this" gives the picture and the rest.
std::string take_words(Options& options, const char* separator) {
  take_picture(options);
  if (options.things.empty()) throw UsageError("say what to ask for, after the picture");
  std::string words;
  for (const std::string& thing : options.things) {
    words += (words.empty() ? "" : separator) + thing;
  }
  return words;
}

// The prompt that a command stands for; the general form has its own.
void fill_in_prompt(Options& o) {
  switch (o.command) {
    case Command::caption:
      take_only_picture(o);
      o.prompt = "caption " + o.language;
      break;
    case Command::ocr:
      take_only_picture(o);
      o.prompt = "ocr";
      break;
    case Command::answer:
      o.prompt = "answer " + o.language + " " + take_words(o, " ");
      break;
    case Command::detect:
      o.prompt = "detect " + take_words(o, " ; ");
      break;
    case Command::segment:
      o.prompt = "segment " + take_words(o, " ; ");
      break;
    case Command::embed:  // all of them, and no prompt
    case Command::search:
      o.images.insert(o.images.begin(), o.things.begin(), o.things.end());
      break;
    default:
      if (!o.prompt_file.empty()) o.prompt = read_prompt_file(o.prompt_file);
  }
}

int run(int argc, char** argv) {
  Options options = parse(in_our_spelling({argv + 1, argv + argc}));
  if (options.help) {
    std::cout << help_text();
    return 0;
  }
  if (options.help_all) {
    std::cout << help_text() << "\n" << alias_text();
    return 0;
  }
  if (options.version) {
    std::cout << "paligemma " PG_VERSION " (commit " PG_COMMIT
                 "), executors: reference, fast, cuda; pictures: "
              << picture_decoders() << "\n";
    return 0;
  }
  if (options.list_devices) {
    std::cout << all_devices();
    return 0;
  }
  check(options);
  go_on_with_kernels(options, argv);
  // The reference and the loader use OpenMP.
  if (options.threads) omp_set_num_threads(static_cast<int>(*options.threads));
  fill_in_prompt(options);
  if (asks_zeta(options)) return run_zeta(options);
  switch (options.command) {
    case Command::embed:
      return embeds_rows(options) ? run_embed_rows(options) : run_embed(options);
    case Command::search:
      return run_search(options);
    case Command::scene:
      return run_scene(options);
    case Command::eval:
      return run_eval(options);
    case Command::finetune:
      return run_finetune(options);
    case Command::train_tiny:
      return run_train_tiny(options);
    case Command::bench:
      return run_bench(options);
    case Command::quantize:
      return run_quantize(options);
    case Command::merge:
      return run_merge(options);
    case Command::init:
      return run_init(options);
    case Command::inspect:
      return run_inspect(options);
    case Command::tokenize:
      return run_tokenize(options);
    case Command::presets:
      return run_presets(options);
    case Command::completion_bash:
      return run_completion_bash();
    default:
      return run_answer(options);
  }
}

}  // namespace
}  // namespace paligemma::cli

int main(int argc, char** argv) {
  using namespace paligemma;
  // Who starts it in the background may have it ignore Ctrl-C.
  if (std::signal(SIGINT, [](int) { _exit(130); }) == SIG_IGN) std::signal(SIGINT, SIG_IGN);
  if (std::signal(SIGTERM, [](int) { _exit(143); }) == SIG_IGN) std::signal(SIGTERM, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // past the shell's `ulimit -f`, writing fails as on a full disk
  cli::report_files_cut_short();
  try {
    const int exit_code = cli::run(argc, argv);
    if (!std::cout.flush() || std::ferror(stdout)) {
      throw std::runtime_error("standard output cannot be written");
    }
    return exit_code;
  } catch (const cli::UsageError& error) {
    return cli::fail(2, error.what());
  } catch (const PromptError& error) {
    return cli::fail(2, error.what());
  } catch (const NotFoundError& error) {
    return cli::fail(3, error.what());
  } catch (const ModelFileError& error) {
    return cli::fail(4, error.what());
  } catch (const ImageError& error) {
    return cli::fail(5, error.what());
  } catch (const std::bad_alloc&) {
    return cli::fail(1, "out of memory");
  } catch (const std::exception& error) {
    return cli::fail(1, error.what());
  }
}
