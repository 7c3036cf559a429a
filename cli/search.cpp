// Pages that answer a query, best first, by a ColPali.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <optional>
#include <utility>

#include "cli/commands.h"
#include "cli/opened_model.h"
#include "cli/outputs.h"
#include "cli/picture_name.h"
#include "cli/search_flags.h"
#include "colpali/encoder.h"
#include "tensor/dot.h"
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
        form_(options.search.form.empty() ? colpali::usual_form(model_.pipeline->config())
                                          : *colpali::form_named(options.search.form)) {}

  void run() {
    // First, since it is soon done and may be refused.
    query_ = model_.pipeline->query_rows(*options_.search.query, form_, {});
    for (const std::string& path : options_.images) add_page(path);
    Buffer<float, 1> scores({static_cast<Index>(options_.images.size())});
    model_.pipeline->max_sim(query_->view(), all_rows(), {first_.data(), {std::ssize(first_)}},
                             scores.view());
    print(best_of(scores.view()), scores.view());
    print_notes(options_, model_.notes);
  }

 private:
  void add_page(const std::string& path) {
    const RgbImage image =
        read_image(picture_path(path), options_.reading(model_.pipeline->config()));
    const Buffer<float, 2> rows = model_.pipeline->page_rows(image.view(), form_, {});
    numbers_.insert(numbers_.end(), rows.view().data(), rows.view().data() + rows.view().count());
    first_.push_back(first_.back() + rows.view().size(0));
  }

  View<const float, 2> all_rows() const {
    return {numbers_.data(), {first_.back(), query_->view().size(1)}};
  }

  // Of equals the one that was named first.
  std::vector<std::size_t> best_of(View<const float, 1> scores) const {
    std::vector<std::size_t> order(options_.images.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return scores(static_cast<Index>(a)) > scores(static_cast<Index>(b));
    });
    order.resize(std::min(order.size(), static_cast<std::size_t>(options_.search.best)));
    return order;
  }

  // Where on the page each token of the query found its like, in patches from the top left.
  Json matches_of(std::size_t page) const {
    const siglip::EncoderShape& vision = model_.pipeline->config().vision;
    const Index side = vision.image_size / vision.patch_size, L = vision.patches();
    const Tokenizer& tokenizer = model_.pipeline->tokenizer();
    const auto ids = colpali::query_ids(tokenizer, form_, *options_.search.query);
    const auto patches = all_rows().rows(first_[page], first_[page] + L);
    std::vector<Json> matches;
    for (Index t = 0; t < std::ssize(ids); ++t) {
      Index best = 0;
      float score = -INFINITY;
      for (Index l = 0; l < L; ++l) {
        const float product =
            dot(query_->view().row(t).data(), patches.row(l).data(), query_->view().size(1));
        if (product > score) score = product, best = l;
      }
      matches.push_back(object({{"token", tokenizer.piece(ids[static_cast<std::size_t>(t)])},
                                {"x", best % side},
                                {"y", best / side},
                                {"score", double{score}}}));
    }
    return array(matches);
  }

  void print(const std::vector<std::size_t>& pages, View<const float, 1> scores) const {
    std::vector<Json> results;
    for (std::size_t rank = 1; rank <= pages.size(); ++rank) {
      const std::size_t page = pages[rank - 1];
      const std::string& path = options_.images[page];
      const float score = scores(static_cast<Index>(page));
      if (options_.json) {
        results.push_back(object({{"rank", static_cast<Index>(rank)},
                                  {"score", double{score}},
                                  {"file", path},
                                  {"best", matches_of(page)}}));
      } else {
        std::cout << rank << "\t" << text_of(score) << "\t" << printable(path) << "\n";
      }
    }
    if (!options_.json) return;
    std::cout << object({{"query", *options_.search.query}, {"results", array(results)}}).text()
              << "\n";
  }

  const Options& options_;
  Progress progress_;
  OpenedModel model_;
  const colpali::PromptForm& form_;
  std::optional<Buffer<float, 2>> query_;
  std::vector<float> numbers_;   // rows of all pages, one behind the other
  std::vector<Index> first_{0};  // where each begins
};

}  // namespace

int run_search(const Options& options) {
  check_search(options);
  check_outputs(options);
  Search(options).run();
  return 0;
}

}  // namespace paligemma::cli
