// The commands. Each returns the exit code, or throws what main turns into one.
#pragma once

#include "cli/options.h"

namespace paligemma::cli {

int run_answer(const Options& options);  // the prompt, or line by line if there is none
int run_jobs(const Options& options);    // many pictures: the lines of --jsonl, or a folder
int run_embed(const Options& options);
bool embeds_rows(const Options& options);  // a ColPali's, of pages and queries
int run_embed_rows(const Options& options);
int run_search(const Options& options);
int run_scene(const Options& options);
int run_eval(const Options& options);
int run_eval_lines(const Options& options);
int run_finetune(const Options& options);
int run_train_tiny(const Options& options);
int run_bench(const Options& options);
int run_train_bench(const Options& options);
int run_quantize(const Options& options);
int run_merge(const Options& options);
int run_init(const Options& options);
int run_inspect(const Options& options);
int run_tokenize(const Options& options);
int run_presets(const Options& options);
int run_completion_bash();

// Whether there are many pictures to look at.
bool asks_many(const Options& options);

// Whether the command is put to a PalmE or a Transformer, which the folder's config.json says.
bool asks_zeta(const Options& options);
int run_zeta(const Options& options);

}  // namespace paligemma::cli
