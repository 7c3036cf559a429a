// Pictures as numbers: an object a line, a .npy file, or a table of how alike they are.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/npy_file.h"
#include "cli/number_lists.h"
#include "cli/opened_model.h"
#include "cli/outputs.h"
#include "cli/picture_name.h"
#include "processing/pixel_file.h"
#include "tensor/json.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

double cosine(View<const float, 1> a, View<const float, 1> b) {
  double ab = 0, aa = 0, bb = 0;
  for (Index d = 0; d < a.size(0); ++d) {
    const double x = a(d), y = b(d);
    ab += x * y, aa += x * x, bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

// Of each picture with each.
void print_cosines(const Options& options, const std::vector<std::string>& paths,
                   View<const float, 2> rows) {
  std::vector<Json> table;
  for (Index i = 0; i < rows.size(0); ++i) {
    std::vector<Json> row;
    std::string line = printable(paths[static_cast<std::size_t>(i)]);
    for (Index j = 0; j < rows.size(0); ++j) {
      const double alike = cosine(rows.row(i), rows.row(j));
      char text[32];
      std::snprintf(text, sizeof text, "\t%.4f", alike);
      line += text;
      row.push_back(alike);
    }
    if (!options.json) std::cout << line << "\n";
    table.push_back(array(row));
  }
  if (!options.json) return;
  std::cout << object({{"images", array_of(paths)}, {"cosine", array(table)}}).text() << "\n";
}

class Embedder {
 public:
  explicit Embedder(const Options& options)
      : options_(options),
        progress_(options.verbosity >= 1),
        model_(options, progress_),
        rule_{siglip::pool_named(options.pool), options.projected, options.normalize},
        pool_(rule_.pool.value_or(model_.pipeline->default_pool())) {
    if (options.verbosity < 2) return;
    std::fprintf(stderr, "device: %s, executor: %s, weights: %s, threads: %d\n",
                 model_.device.text.c_str(), model_.device.executor.c_str(),
                 std::string(name_of(model_.pipeline->dtype())).c_str(), model_.device.threads);
  }

  void embed(const std::string& path, bool is_pixels) {
    const Config& config = model_.pipeline->config();
    Index width = config.vision.image_size, height = width;
    if (is_pixels) {
      const auto pixels = read_pixels(path, config.vision.image_size);
      return keep(path, width, height, model_.pipeline->embed_pixels(pixels.view(), rule_));
    }
    const RgbImage image = read_image(picture_path(path), options_.reading(config));
    width = image.view().size(1), height = image.view().size(0);
    keep(path, width, height, model_.pipeline->embed(image.view(), rule_));
  }

  void finish() {
    const auto n = static_cast<Index>(paths_.size());
    if (options_.cosine) print_cosines(options_, paths_, {numbers_.data(), {n, width_}});
    if (!options_.output.empty()) {
      std::vector<Index> shape{n, rows_, width_};
      if (is_pooled()) shape.erase(shape.begin() + 1);
      write_npy(options_.output, numbers_, shape);
    }
    print_notes(options_, model_.notes);
  }

 private:
  bool is_pooled() const { return pool_ != siglip::Pool::none; }

  void keep(const std::string& path, Index width, Index height, const Buffer<float, 2>& embedding) {
    const auto rows = embedding.view();
    rows_ = rows.size(0), width_ = rows.size(1);
    paths_.push_back(path);
    if (options_.cosine || !options_.output.empty()) {
      numbers_.insert(numbers_.end(), rows.data(), rows.data() + rows.count());
      return;
    }
    const Json image = object({{"path", path}, {"width", width}, {"height", height}});
    const Json line = object({{"image", image},
                              {"pool", siglip::name_of(pool_)},
                              {"embedding", is_pooled() ? list_of(rows.row(0)) : lists_of(rows)}});
    std::cout << line.text() << "\n" << std::flush;
  }

  const Options& options_;
  Progress progress_;
  OpenedModel model_;
  EmbeddingRule rule_;
  siglip::Pool pool_;
  std::vector<std::string> paths_;
  std::vector<float> numbers_;  // of all pictures, where they are not printed one by one
  Index rows_ = 0, width_ = 0;  // of one picture
};

}  // namespace

int run_embed(const Options& options) {
  if (!options.tokenizer.empty()) throw UsageError("embed takes no --tokenizer, but of a ColPali");
  if (!options.search.form.empty()) throw UsageError("--query-format is for --query and a ColPali");
  const bool is_pixels = !options.pixels.empty();
  if (options.images.empty() && !is_pixels) throw UsageError("give a picture: embed IMAGE...");
  if (!options.images.empty() && is_pixels) throw UsageError("both a picture and --pixels");
  if (std::count(options.images.begin(), options.images.end(), "-") > 1)
    throw UsageError("standard input is one picture");
  if (options.cosine && options.pool == "none")
    throw UsageError("--cosine: --pool none leaves a row for each patch");
  const auto dtype = weight_format_named(options.dtype);
  if (dtype && is_quantized(*dtype))
    throw UsageError("--dtype " + options.dtype + ": is for the language model");
  check_outputs(options);

  Embedder embedder(options);
  if (is_pixels) embedder.embed(options.pixels, true);
  for (const std::string& path : options.images) embedder.embed(path, false);
  embedder.finish();
  return 0;
}

}  // namespace paligemma::cli
