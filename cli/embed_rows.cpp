// Pages and a query as the rows that a ColPali makes of them: an object a line, or a .npy file.
#include <iostream>
#include <utility>

#include "cli/commands.h"
#include "cli/npy_file.h"
#include "cli/number_lists.h"
#include "cli/opened_model.h"
#include "cli/outputs.h"
#include "cli/picture_name.h"
#include "cli/search_flags.h"
#include "colpali/encoder.h"
#include "tensor/json.h"
#include "tensor/safetensors.h"

namespace paligemma::cli {
namespace {

void check_rows(const Options& o) {
  check_one_of("--query-format", o.search.form, {"", "question", "query", "plain"});
  if (o.search.query && !o.images.empty()) throw UsageError("both pages and --query");
  if (!o.search.query && o.images.empty()) throw UsageError("give a page: embed PAGE...");
  if (o.pool != "auto" || o.projected || o.normalize || o.cosine || !o.pixels.empty()) {
    throw UsageError(
        "a ColPali keeps a row for each token: it takes no --pool, --projected, "
        "--normalize, --cosine and --pixels");
  }
  if (!o.output.empty() && o.images.size() > 1) throw UsageError("-o: of one page or query");
}

}  // namespace

bool embeds_rows(const Options& options) {
  if (options.command != Command::embed) return false;
  if (options.search.query) return true;
  try {
    const auto folder = checkpoint_folder(find_model(options).path);
    return read_config(folder, Towers::vision).retrieval_width > 0;
  } catch (const std::runtime_error&) {  // whoever opens the model will say so
    return false;
  }
}

int run_embed_rows(const Options& asked) {
  check_rows(asked);
  check_outputs(asked);
  Options options = asked;
  options.search.keeps_rows = true;
  Progress progress(options.verbosity >= 1);
  const OpenedModel model(options, progress);
  const Config& config = model.pipeline->config();
  const colpali::PromptForm& form = form_of(options, config);
  const auto show = [&](const Json& what, const char* name, const Buffer<float, 2>& made) {
    const View<const float, 2> rows = made.view();
    if (!options.output.empty()) {
      write_npy(options.output, {rows.data(), static_cast<std::size_t>(rows.count())},
                rows.shape());
    } else {
      std::cout << object({{name, what}, {"vectors", lists_of(rows)}}).text() << "\n" << std::flush;
    }
  };
  if (options.search.query) {
    show(*options.search.query, "query",
         model.pipeline->query_rows(*options.search.query, form, {}));
  }
  for (const std::string& path : options.images) {
    const RgbImage page = read_image(picture_path(path), options.reading(config));
    show(path, "file", model.pipeline->page_rows(page.view(), form, {}));
  }
  print_notes(options, model.notes);
  return 0;
}

}  // namespace paligemma::cli
