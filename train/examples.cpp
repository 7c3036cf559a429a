#include "train/examples.h"

#include <algorithm>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "paligemma/pipeline.h"
#include "processing/image_file.h"
#include "processing/prompt.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/paths.h"
#include "tensor/philox.h"

namespace paligemma {

namespace fs = std::filesystem;

std::vector<std::string> images_of(const JsonFields& fields) {
  if (!fields.has("images")) return {fields.text("image")};
  if (fields.has("image")) fields.fail("images", "beside \"image\"");
  std::vector<std::string> all = fields.texts("images");
  constexpr std::size_t kMost = 1024;
  if (all.empty() || all.size() > kMost) {
    fields.fail("images", std::to_string(all.size()) + " pictures, must be 1 to 1024");
  }
  return all;
}

Examples::Examples(fs::path file, const Config& config, const Tokenizer& tokenizer, bool skip_bad,
                   std::size_t kept_bytes)
    : file_(std::move(file)), config_(config), tokenizer_(tokenizer), most_kept_bytes_(kept_bytes) {
  const MappedFile mapped(file_);
  std::string_view rest = mapped.text();
  std::exception_ptr first;
  for (Index number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view text = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.empty()) continue;
    try {
      lines_.push_back(read(text, file_.string() + ": line " + std::to_string(number)));
    } catch (const std::runtime_error& error) {  // PromptError or ImageError
      if (!skip_bad) throw;
      if (skipped_++ > 0) continue;
      first = std::current_exception();
      first_problem_ = error.what();
    }
  }
  if (!lines_.empty()) return;
  if (first) std::rethrow_exception(first);
  throw PromptError(file_.string() + ": has no lines");
}

Examples::Line Examples::read(std::string_view text, const std::string& where) const {
  constexpr std::size_t kLongest = 1 << 20;
  if (text.size() > kLongest) throw PromptError(where + ": longer than 1 MiB");
  Line line;
  std::vector<std::string> images;
  try {
    const JsonFields fields(text, where);
    images = images_of(fields);
    line.prompt = fields.text("prefix");
    line.suffix = fields.text("suffix");
  } catch (const ModelFileError& error) {
    throw PromptError(error.what());
  }
  for (const std::string& image : images) {
    line.pictures.push_back(file_.parent_path() / image);
    if (!is_file(line.pictures.back())) {
      throw ImageError(where + ": " + line.pictures.back().string() + ": no such file");
    }
  }
  try {
    line.ids = make_prompt(tokenizer_, line.prompt, static_cast<int>(config_.vision.patches()),
                           static_cast<int>(images.size()))
                   .ids;
    line.prefix = static_cast<Index>(line.ids.size());
    const std::vector<TokenId> suffix = tokenizer_.encode(line.suffix);
    line.ids.insert(line.ids.end(), suffix.begin(), suffix.end());
    line.ids.push_back(tokenizer_.eos());
  } catch (const PromptError& error) {
    throw PromptError(where + ": " + error.what());
  }
  const auto behind = line.ids.begin() + line.prefix;
  if (std::find(behind, line.ids.end(), config_.image_token) != line.ids.end()) {
    throw PromptError(where + ": <image> in the suffix");
  }
  if (const auto T = static_cast<Index>(line.ids.size()); T > config_.text.max_positions) {
    throw PromptError(where + ": its " + std::to_string(T) + " tokens exceed the model's " +
                      std::to_string(config_.text.max_positions) + " positions");
  }
  return line;
}

const Buffer<float, 3>& Examples::pixels(const fs::path& picture) {
  const auto found = kept_.find(picture);
  if (found != kept_.end()) return found->second;
  const RgbImage image = read_image(picture, {.blends_alpha = config_.blends_alpha});
  Buffer<float, 3> pixels = vision_pixels(config_, image.view());
  const std::size_t bytes = static_cast<std::size_t>(pixels.view().count()) * sizeof(float);
  if (kept_bytes_ + bytes > most_kept_bytes_) {
    kept_.clear();
    kept_bytes_ = 0;
  }
  kept_bytes_ += bytes;
  return kept_.emplace(picture, std::move(pixels)).first->second;
}

Example Examples::at(Index i) {
  const Line& line = lines_[static_cast<std::size_t>(i)];
  const Index R = config_.vision.image_size, count = std::ssize(line.pictures);
  Example example{Buffer<float, 4>({count, R, R, 3}, unwritten), line.ids, line.prefix};
  for (Index p = 0; p < count; ++p) {
    const auto picture = pixels(line.pictures[static_cast<std::size_t>(p)]).view();
    std::copy_n(picture.data(), picture.count(), example.pixels.view().row(p).data());
  }
  return example;
}

Order::Order(Index count, bool shuffles, std::uint64_t seed)
    : count_(count), shuffles_(shuffles), seed_(seed) {
  PG_CHECK(count > 0, "no lines");
}

// Fisher and Yates.
Index Order::at(Index place) {
  const Index within = place % count_;
  if (!shuffles_) return within;
  if (place / count_ != epoch_) {
    epoch_ = place / count_;
    order_.resize(static_cast<std::size_t>(count_));
    std::iota(order_.begin(), order_.end(), 0);
    for (Index i = count_ - 1; i > 0; --i) {
      const PhiloxBlock bits =
          philox({static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)},
                 {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(epoch_), 0, 2});
      const std::uint64_t drawn = std::uint64_t{bits[0]} << 32 | bits[1];
      const auto other = static_cast<std::size_t>(drawn % static_cast<std::uint64_t>(i + 1));
      std::swap(order_[static_cast<std::size_t>(i)], order_[other]);
    }
  }
  return order_[static_cast<std::size_t>(within)];
}

}  // namespace paligemma
