#include "cli/search_flags.h"

#include <CLI/CLI.hpp>

#include "colpali/encoder.h"

namespace paligemma::cli {
namespace {

void add_query(CLI::App& command, Options& o) {
  command.add_option("--query", o.search.query, "What is looked for, with a ColPali");
  command.add_option("--query-format", o.search.form,
                     "How it is asked: question, query or plain (default: by its files)");
}

}  // namespace

void add_embed(CLI::App& command, Options& o) {
  command.add_option("arguments", o.things, "IMAGE...");
  command.add_option("--pool", o.pool, "auto, none, mean, first or attention");
  command.add_flag("--projected", o.projected, "In the language model's width");
  command.add_flag("--normalize", o.normalize, "Of length 1");
  command.add_flag("--cosine", o.cosine, "A table of how alike they are, instead");
  add_query(command, o);
}

void add_search(CLI::App& command, Options& o) {
  command.add_option("arguments", o.things, "PAGE...");
  add_query(command, o);
  command.add_option("--map", o.output, "Write the best page with what matched in red; as -o");
  command.add_option("-k,--best", o.search.best, "How many pages are named (default: 5)");
}

void check_search(const Options& o) {
  if (!o.search.query) throw UsageError("say what to look for: --query TEXT");
  if (o.images.empty()) throw UsageError("give pages to search: search PAGE...");
  check_one_of("--query-format", o.search.form, {"", "question", "query", "plain"});
  if (o.search.best < 1 || o.search.best > 1 << 24)
    throw UsageError("--best must be from 1 to 16777216");
}

const colpali::PromptForm& form_of(const Options& options, const Config& config) {
  return options.search.form.empty() ? colpali::usual_form(config)
                                     : *colpali::form_named(options.search.form);
}

}  // namespace paligemma::cli
