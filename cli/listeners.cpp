#include "cli/listeners.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/npy_file.h"

namespace paligemma::cli {
namespace {

void write_below(const std::filesystem::path& folder, const std::string& name,
                 std::span<const float> numbers, std::span<const Index> shape) {
  const std::filesystem::path file = folder / (name + ".npy");
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);  // if it fails, so does the rest
  write_npy(file, numbers, shape);
}

// 3 from "llm/block03/+mlp"; -1 from any other tap.
Index finished_block(const std::string& tap, const std::string& tower) {
  if (!tap.starts_with(tower + "/block") || !tap.ends_with("/+mlp")) return -1;
  return std::stoi(tap.substr(tower.size() + 6));
}

}  // namespace

void Dump::operator()(const std::string& name, std::span<const float> numbers,
                      std::span<const Index> shape) {
  if (name != "logits") return write_below(folder_, name, numbers, shape);
  logits_.insert(logits_.end(), numbers.begin(), numbers.end());
  ++logit_rows_;
}

void Dump::finish() {
  if (logit_rows_ == 0) return;
  const Index shape[] = {logit_rows_, static_cast<Index>(logits_.size()) / logit_rows_};
  write_below(folder_, "logits", logits_, shape);
  logits_.clear();
  logit_rows_ = 0;
}

Progress::Progress(bool wanted) : wanted_(wanted && isatty(STDERR_FILENO)) {}

void Progress::expect(Index vision_layers, Index text_layers) {
  vision_layers_ = vision_layers;
  text_layers_ = text_layers;
}

void Progress::show(const char* phase, Index done, Index all) {
  std::fprintf(stderr, "\r%s %td/%td ", phase, done, all);
  shown_ = true;
}

void Progress::loaded(std::size_t done, std::size_t all) {
  constexpr std::size_t kMegabyte = 1'000'000;
  if (wanted_)
    show("load MB", static_cast<Index>(done / kMegabyte), static_cast<Index>(all / kMegabyte));
}

void Progress::answered(Index done, Index all) {
  if (wanted_) show("answers", done, std::max(done, all));
}

void Progress::trained(Index step, Index steps, double loss, double tokens_per_second,
                       double seconds_left) {
  if (!wanted_) return;
  const auto left = static_cast<long>(seconds_left);
  std::fprintf(stderr, "\rstep %td/%td  loss %.4f  %.0f tokens/s  %ld:%02ld:%02ld left ", step,
               steps, loss, tokens_per_second, left / 3600, left / 60 % 60, left % 60);
  shown_ = true;
}

void Progress::operator()(const std::string& tap) {
  if (!wanted_) return;
  const Index vision = finished_block(tap, "img/encoder"), text = finished_block(tap, "llm");
  if (vision >= 0) show("vit", vision + 1, vision_layers_);
  if (text >= 0) show("prefill", text + 1, text_layers_);
}

void Progress::clear() {
  if (shown_) std::fprintf(stderr, "\r%72s\r", "");
  shown_ = false;
}

}  // namespace paligemma::cli
