#include "cli/listeners.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "tensor/write_file.h"

namespace paligemma::cli {
namespace {

// NumPy's format, version 1.0: magic, the length of the header, a Python dict padded to a multiple
// of 64 bytes, the numbers.
void write_npy(const std::filesystem::path& path, std::span<const float> numbers,
               std::span<const Index> shape) {
  std::string sizes;
  for (Index size : shape) sizes += std::to_string(size) + ",";
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + sizes + "), }";
  constexpr std::size_t kBefore = 10;  // magic, version, length
  header.append(63 - (kBefore + header.size()) % 64, ' ');
  header += '\n';

  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);  // if it fails, so does the rest
  const auto length = static_cast<std::uint16_t>(header.size());
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(length & 0xff);
  file += static_cast<char>(length >> 8);
  file += header;
  file.append(reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes());
  write_file(path, file);
}

// 3 from "llm/block03/+mlp"; -1 from any other tap.
Index finished_block(const std::string& tap, const std::string& tower) {
  if (!tap.starts_with(tower + "/block") || !tap.ends_with("/+mlp")) return -1;
  return std::stoi(tap.substr(tower.size() + 6));
}

}  // namespace

void Dump::operator()(const std::string& name, std::span<const float> numbers,
                      std::span<const Index> shape) {
  if (name != "logits") return write_npy(folder_ / (name + ".npy"), numbers, shape);
  logits_.insert(logits_.end(), numbers.begin(), numbers.end());
  ++logit_rows_;
}

void Dump::finish() {
  if (logit_rows_ == 0) return;
  const Index shape[] = {logit_rows_, static_cast<Index>(logits_.size()) / logit_rows_};
  write_npy(folder_ / "logits.npy", logits_, shape);
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

void Progress::operator()(const std::string& tap) {
  if (!wanted_) return;
  const Index vision = finished_block(tap, "img/encoder"), text = finished_block(tap, "llm");
  if (vision >= 0) show("vit", vision + 1, vision_layers_);
  if (text >= 0) show("prefill", text + 1, text_layers_);
}

void Progress::clear() {
  if (shown_) std::fprintf(stderr, "\r%24s\r", "");
  shown_ = false;
}

}  // namespace paligemma::cli
