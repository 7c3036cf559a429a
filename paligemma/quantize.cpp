#include "paligemma/quantize.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <numeric>
#include <vector>

#include "tensor/json.h"
#include "tensor/paths.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

// Beside the weights: what is read here, and what transformers' processor reads.
constexpr const char* kOtherFiles[] = {
    "config.json",       "generation_config.json", "preprocessor_config.json",
    "tokenizer.model",   "processor_config.json",  "vae-oid.npz",
    "tokenizer.json",    "tokenizer_config.json",  "special_tokens_map.json",
    "added_tokens.json", "chat_template.json",     "chat_template.jinja"};

void need(bool works, const fs::path& path, const std::string& problem) {
  if (!works) throw std::runtime_error(path.string() + ": " + problem);
}

// The new folder. Every file has a name with .part behind it until all are whole; what has one in the end,
// and a folder that was not there and is empty, is gone.
class NewModel {
 public:
  explicit NewModel(const fs::path& folder) {
    std::vector<fs::path> missing;
    for (fs::path path = folder; !path.empty() && !is_there(path); path = path.parent_path()) {
      missing.push_back(path);
    }
    made_.assign(missing.rbegin(), missing.rend());
    std::error_code error;
    fs::create_directories(folder, error);
    need(!error, folder, error.message());
  }
  ~NewModel() {
    std::error_code error;  // of a path where nothing is, or a folder with something in it
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) fs::remove(*path, error);
    if (lock_ >= 0) ::close(lock_);
  }
  NewModel(const NewModel&) = delete;
  NewModel& operator=(const NewModel&) = delete;

  // One run writes a folder. The lock is on the file that `path` names, so that it goes with the run; a run
  // that has ended meanwhile has given the file another name.
  fs::path lock(const fs::path& path) {
    fs::path part = part_of(path);
    lock_ = ::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    need(lock_ >= 0, path, "cannot be written");
    struct stat locked {};
    struct stat named {};
    const bool is_ours = ::flock(lock_, LOCK_EX | LOCK_NB) == 0 && ::fstat(lock_, &locked) == 0 &&
                         ::stat(part.c_str(), &named) == 0 && locked.st_ino == named.st_ino;
    need(is_ours, path, "is being written by another run");
    made_.push_back(part);
    return part;
  }

  void copy(const fs::path& from, const fs::path& to) {
    const fs::path part = part_of(to);
    std::error_code error;
    fs::remove(part, error);
    made_.push_back(part);
    fs::copy_file(from, part, error);
    need(!error, to, error.message());
  }

  // The weights last: a folder without them is no model.
  void finish() {
    std::error_code error;
    for (auto part = made_.rbegin(); part != made_.rend(); ++part) {
      if (part->extension() != ".part") continue;
      fs::path path = *part;
      fs::rename(*part, path.replace_extension(), error);
      need(!error, path, error.message());
    }
    made_.clear();
  }

 private:
  static fs::path part_of(fs::path path) { return path += ".part"; }

  std::vector<fs::path> made_;  // what is to go, folders before what is in them
  int lock_ = -1;
};

std::size_t bytes_of(const std::vector<Index>& shape, std::size_t size) {
  return std::accumulate(shape.begin(), shape.end(), size, [](std::size_t bytes, Index axis) {
    return bytes * static_cast<std::size_t>(axis);
  });
}

template <Quantized Block>
class Writer {
 public:
  Writer(Checkpoint& checkpoint, const Config& config)
      : checkpoint_(checkpoint), tensors_(expected_tensors(checkpoint.as_stored(config))) {}

  void write(const fs::path& path, const LoadListener& listener) {
    const std::string header = this->header();
    const std::uint64_t length = header.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header;
    std::size_t done = 0;
    for (const ExpectedTensor& tensor : tensors_) {
      done += write(file, tensor);
      checkpoint_.forget_copies();
      if (!file) break;
      if (listener) listener(done, all_);
    }
    if (!file.flush()) throw std::runtime_error(path.string() + ": cannot be written");
  }

 private:
  // Padded, so that blocks are aligned.
  std::string header() {
    std::vector<Field> metadata{{"format", "pt"}};
    if (!checkpoint_.trained()) metadata.push_back({"trained", "false"});
    std::vector<Field> fields{{"__metadata__", object(metadata)}};
    all_ = 0;
    for (const ExpectedTensor& tensor : tensors_) {
      const bool blocks = is_text_matrix(tensor);
      std::vector<Index> shape = tensor.shape;
      if (blocks) shape = {shape[0], blocks_of(shape[1]), Index{sizeof(Block)}};
      const std::size_t begin = all_;
      all_ += bytes_of(shape, blocks ? 1 : sizeof(bf16));
      fields.push_back({tensor.name, object({{"dtype", blocks ? "U8" : "BF16"},
                                             {"shape", array_of(shape)},
                                             {"data_offsets", array({begin, all_})}})});
    }
    std::string text = object(fields).text();
    text.append((64 - (text.size() + 8) % 64) % 64, ' ');
    return text;
  }

  std::size_t write(std::ofstream& file, const ExpectedTensor& tensor) {
    const void* data = nullptr;
    std::size_t bytes = 0;
    if (is_text_matrix(tensor)) {
      const auto blocks = checkpoint_.blocks<Block>(tensor.name, tensor.shape);
      data = blocks.data();
      bytes = static_cast<std::size_t>(blocks.count()) * sizeof(Block);
    } else if (tensor.shape.size() == 1) {
      data = checkpoint_.vector_beside_blocks(tensor.name, tensor.shape[0]).data();
      bytes = bytes_of(tensor.shape, sizeof(bf16));
    } else {
      data = checkpoint_.matrix_beside_blocks(tensor.name, tensor.shape).data();
      bytes = bytes_of(tensor.shape, sizeof(bf16));
    }
    file.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
    return bytes;
  }

  Checkpoint& checkpoint_;
  std::vector<ExpectedTensor> tensors_;
  std::size_t all_ = 0;
};

}  // namespace

void quantize_checkpoint(const fs::path& model, WeightFormat format, const fs::path& out,
                         const LoadListener& listener) {
  PG_CHECK(is_quantized(format), std::string(name_of(format)));
  const fs::path folder = checkpoint_folder(model);
  const Config config = read_config(folder);
  Checkpoint checkpoint(model, config);

  NewModel written(out);
  const fs::path weights = out / "model.safetensors", part = written.lock(weights);
  std::error_code error;
  const bool has_model = is_there(weights) || is_there(out / "model.safetensors.index.json") ||
                         fs::equivalent(folder, out, error);
  need(!has_model, out, "there is a model already");
  for (const char* name : kOtherFiles) {
    const bool is_ours = is_there(folder / name);
    need(is_ours || !is_there(out / name), out / name, "would change what the model says");
    if (is_ours) written.copy(folder / name, out / name);
  }
  if (format == WeightFormat::int8_blocks) {
    Writer<Int8Block>(checkpoint, config).write(part, listener);
  } else {
    Writer<Int4Block>(checkpoint, config).write(part, listener);
  }
  written.finish();
}

}  // namespace paligemma
