// Pages that answer a query, best first, by a ColPali; and where on the best of them the words found their like.
#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>
#include <optional>
#include <utility>

#include "cli/commands.h"
#include "cli/opened_model.h"
#include "cli/outputs.h"
#include "cli/picture_name.h"
#include "cli/search_flags.h"
#include "colpali/encoder.h"
#include "colpali/match_map.h"
#include "tensor/json.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

std::string text_of(float score) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", static_cast<double>(score));
  return text;
}

class Search {
 public:
  explicit Search(const Options& options)
      : options_(options),
        progress_(options.verbosity >= 1),
        model_(options, progress_),
        form_(form_of(options, model_.pipeline->config())) {}

  void run() {
    // First, since it is soon done and may be refused.
    query_ = model_.pipeline->query_rows(*options_.search.query, form_, {});
    for (const std::string& path : options_.images) add_page(path);
    const auto pages = best_of();
    write_answer(options_, text_about(pages));
    if (!options_.output.empty()) draw_map(pages.front());
    print_notes(options_, model_.notes);
  }

 private:
  void add_page(const std::string& path) {
    RgbImage image = read_image(picture_path(path), options_.reading(model_.pipeline->config()));
    Buffer<float, 2> rows = model_.pipeline->page_rows(image.view(), form_, {});
    const std::array<Index, 2> all{0, rows.view().size(0)};
    Buffer<float, 1> score({1});
    model_.pipeline->max_sim(query_->view(), rows.view(), {all.data(), {2}}, score.view());
    const bool is_best =
        scores_.empty() || score.view()(0) > *std::max_element(scores_.begin(), scores_.end());
    if (!options_.output.empty() && is_best) best_page_ = std::move(image);
    scores_.push_back(score.view()(0));
    rows_.push_back(std::move(rows));
  }

  // Of equals the one that was named first.
  std::vector<std::size_t> best_of() const {
    std::vector<std::size_t> order(scores_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores_[a] > scores_[b]; });
    order.resize(std::min(order.size(), static_cast<std::size_t>(options_.search.best)));
    return order;
  }

  Index side() const {  // in patches
    const siglip::EncoderShape& vision = model_.pipeline->config().vision;
    return vision.image_size / vision.patch_size;
  }
  // Of some tokens of the query.
  Buffer<float, 2> heat_of(std::size_t page, Index begin, Index end) const {
    Buffer<float, 2> heat({side(), side()});
    const View<const float, 2> query = query_->view(), rows = rows_[page].view();
    colpali::match_heat(query.rows(begin, end), rows.rows(0, heat.view().count()), heat.view());
    return heat;
  }

  void draw_map(std::size_t page) {
    const auto [begin, end] =
        colpali::text_rows(model_.pipeline->tokenizer(), form_, *options_.search.query);
    colpali::draw_heat(heat_of(page, begin, end).view(), best_page_->view());
    write_picture(options_, best_page_->view());
  }

  // Where on the page each token of the query found its like, in patches from the top left.
  Json matches_of(std::size_t page) const {
    const Tokenizer& tokenizer = model_.pipeline->tokenizer();
    const auto ids = colpali::query_ids(tokenizer, form_, *options_.search.query);
    std::vector<Json> matches;
    for (Index t = 0; t < std::ssize(ids); ++t) {
      const Buffer<float, 2> heat = heat_of(page, t, t + 1);
      const auto cells = heat.view();
      const float* const hottest = std::max_element(cells.data(), cells.data() + cells.count());
      const Index best = hottest - cells.data();
      matches.push_back(object({{"token", tokenizer.piece(ids[static_cast<std::size_t>(t)])},
                                {"x", best % side()},
                                {"y", best / side()},
                                {"score", double{*hottest}}}));
    }
    return array(matches);
  }

  std::string text_about(const std::vector<std::size_t>& pages) const {
    std::string lines;
    std::vector<Json> results;
    for (std::size_t rank = 1; rank <= pages.size(); ++rank) {
      const std::size_t page = pages[rank - 1];
      const std::string& path = options_.images[page];
      if (options_.json) {
        results.push_back(object({{"rank", static_cast<Index>(rank)},
                                  {"score", double{scores_[page]}},
                                  {"file", path},
                                  {"best", matches_of(page)}}));
      } else {
        lines +=
            std::to_string(rank) + "\t" + text_of(scores_[page]) + "\t" + printable(path) + "\n";
      }
    }
    if (!options_.json) return lines;
    return object({{"query", *options_.search.query}, {"results", array(results)}}).text() + "\n";
  }

  const Options& options_;
  Progress progress_;
  OpenedModel model_;
  const colpali::PromptForm& form_;
  std::optional<Buffer<float, 2>> query_;
  std::vector<float> scores_;           // of each page
  std::vector<Buffer<float, 2>> rows_;  // of each page
  std::optional<RgbImage> best_page_;   // if it is to be drawn on
};

}  // namespace

int run_search(const Options& options) {
  check_search(options);
  check_outputs(options);
  Search(options).run();
  return 0;
}

}  // namespace paligemma::cli
