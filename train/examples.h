// Examples: the lines of a file, each a picture, what is asked about it and what is to be answered.
//
//   {"image": "1.jpg", "prefix": "detect cat", "suffix": "<loc0102><loc0051><loc0900><loc0770> cat"}
//
// "images" instead is a list, for a prefix about several. Pictures are found from the folder of the file on. The
// newline behind the prefix and <eos> behind the suffix are added. A suffix may be anything that the model can say:
// words, boxes, masks (processing/detections.h).
//
// All lines are read at once: text, length, and that the pictures are there. A picture is decoded when it is learned
// from, and kept while there is room.
//
// Read next: train/batch.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "paligemma/config.h"
#include "processing/tokenizer.h"
#include "tensor/json.h"
#include "train/batch.h"

namespace paligemma {

// The names of a line's "image" or "images". Throws ModelFileError unless there are 1 to 1024.
std::vector<std::string> images_of(const JsonFields& line);

class Examples {
 public:
  // Throws NotFoundError or ModelFileError for a file that cannot be read, PromptError or ImageError for the first bad
  // line, with its number; with skip_bad these are left out, unless all are. Configuration and tokenizer live as long
  // as this does. Of decoded pictures so many bytes are kept, or the last one.
  Examples(std::filesystem::path file, const Config& config, const Tokenizer& tokenizer,
           bool skip_bad, std::size_t kept_bytes = std::size_t{1} << 30);

  Index count() const { return static_cast<Index>(lines_.size()); }
  Index skipped() const { return skipped_; }
  const std::string& first_problem() const { return first_problem_; }  // of those; or empty

  // Throws ImageError if a picture cannot be decoded.
  Example at(Index i);

  // One of them as it stands in the file.
  struct Line {
    std::vector<std::filesystem::path> pictures;
    std::string prompt, suffix;
    std::vector<TokenId> ids;  // of both
    Index prefix;              // how many of them are the prompt's
  };
  const Line& line(Index i) const { return lines_[static_cast<std::size_t>(i)]; }

 private:
  Line read(std::string_view text, const std::string& where) const;
  const Buffer<float, 3>& pixels(const std::filesystem::path& picture);

  std::filesystem::path file_;
  const Config& config_;
  const Tokenizer& tokenizer_;
  std::vector<Line> lines_;
  Index skipped_ = 0;
  std::string first_problem_;
  std::map<std::filesystem::path, Buffer<float, 3>> kept_;
  std::size_t kept_bytes_ = 0, most_kept_bytes_;
};

// Which line stands at a place of the endless row that steps take lines from: all lines, and all again. Shuffled, each
// time in another order, which depends on the seed alone.
class Order {
 public:
  Order(Index count, bool shuffles, std::uint64_t seed);
  Index at(Index place);

 private:
  Index count_;
  bool shuffles_;
  std::uint64_t seed_;
  Index epoch_ = -1;
  std::vector<Index> order_;  // of that epoch
};

}  // namespace paligemma
