// Who looks at the taps on the command line: --dump, and the progress line.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tensor/view.h"

namespace paligemma::cli {

// Writes every tap as FOLDER/NAME.npy, float32. The rows of "logits", one per generated token, are
// collected and written by finish().
class Dump {
 public:
  explicit Dump(std::filesystem::path folder) : folder_(std::move(folder)) {}
  void operator()(const std::string& name, std::span<const float> numbers,
                  std::span<const Index> shape);
  void finish();

 private:
  std::filesystem::path folder_;
  std::vector<float> logits_;
  Index logit_rows_ = 0;
};

// "vit 12/27", overwritten in place on stderr, if that is a terminal.
class Progress {
 public:
  explicit Progress(bool wanted);
  bool is_wanted() const { return wanted_; }
  void expect(Index vision_layers, Index text_layers);
  void loaded(std::size_t done, std::size_t all);  // bytes of weights
  void answered(Index done, Index all);            // all is 0 where nobody knows
  void trained(Index step, Index steps, double loss, double tokens_per_second, double seconds_left);
  void operator()(const std::string& tap);
  void clear();

 private:
  bool shown_ = false;
  bool wanted_;
  Index vision_layers_ = 0, text_layers_ = 0;

  void show(const char* phase, Index done, Index all);
};

}  // namespace paligemma::cli
