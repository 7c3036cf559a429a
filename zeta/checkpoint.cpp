#include "zeta/checkpoint.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <set>
#include <type_traits>
#include <utility>

#include "tensor/errors.h"
#include "zeta/weights.h"

namespace paligemma::zeta {

namespace fs = std::filesystem;

namespace {

// A source that has nothing, and writes down what it is asked for.
struct NoNumbers {
  NoNumbers rows(Index, Index) const { return {}; }
};
struct NoWeights {
  using Matrix = NoNumbers;
  using Vector = NoNumbers;
  using Floats = HostWeights<float>;
};
struct Recorder {
  std::vector<ExpectedTensor> asked;

  NoNumbers matrix(const std::string& name, const std::vector<Index>& shape, Index = 1) {
    asked.push_back({name, shape});
    return {};
  }
  NoNumbers vector(const std::string& name, Index length) { return matrix(name, {length}); }
  NoNumbers repeated(const std::string& name, Index) {
    return name.empty() ? NoNumbers() : matrix(name, {1});
  }
  std::vector<float> numbers(const std::string& name, const std::vector<Index>& shape) {
    matrix(name, shape);
    return {0};
  }
};

struct NamedLayers {
  std::string name;
  const LayersShape& shape;
};
std::vector<NamedLayers> layers_of(const Config& config) {
  constexpr const char* kLayers = "attn_layers.";
  if (const auto* palme = std::get_if<PalmEShape>(&config.model)) {
    return {{std::string("encoder.") + kLayers, palme->vision.layers},
            {std::string("decoder.net.") + kLayers, palme->text.layers}};
  }
  if (const auto* text = std::get_if<TransformerShape>(&config.model)) {
    return {{kLayers, text->layers}};
  }
  return {{kLayers, std::get<VisionShape>(config.model).layers}};
}

// What PyTorch saves beside the weights, and the numbers that it must have.
std::map<std::string, std::vector<float>> buffers_of(const Config& config) {
  std::map<std::string, std::vector<float>> buffers;
  for (const auto& [name, shape] : layers_of(config)) {
    if (!shape.rotary) continue;
    const Index R = shape.rotary->channels;
    for (Index j = 0; j < R / 2; ++j) {
      const double share = 2.0 * static_cast<double>(j) / static_cast<double>(R);
      const double base = shape.rotary->base;
      buffers[name + "rotary_pos_emb.inv_freq"].push_back(
          static_cast<float>(std::pow(base, -share)));
      if (shape.rotary->xpos_scale_base == 0) continue;
      buffers[name + "rotary_pos_emb.scale"].push_back(static_cast<float>((share + 0.4) / 1.4));
    }
  }
  return buffers;
}

template <class Stored>
std::vector<float> widened(const TensorEntry& entry) {
  std::vector<float> numbers(static_cast<std::size_t>(entry.count()));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    Stored number;
    std::memcpy(&number, entry.bytes.data() + i * sizeof number, sizeof number);
    numbers[i] = widen(number);
  }
  return numbers;
}

std::vector<float> numbers_of(const TensorEntry& entry, const std::string& where) {
  const WeightFormat format = weight_format_of(entry, where);
  std::vector<float> numbers = format == WeightFormat::f32    ? widened<float>(entry)
                               : format == WeightFormat::bf16 ? widened<bf16>(entry)
                                                              : widened<f16>(entry);
  for (const float number : numbers) {
    if (!std::isfinite(number)) throw ModelFileError(where + " holds a NaN or an infinity");
  }
  return numbers;
}

constexpr float kUlps = 4;  // two libraries' powers of the same number

void check_buffer(const std::vector<float>& expected, const TensorEntry& entry,
                  const std::string& where) {
  const std::vector<float> found = numbers_of(entry, where);
  bool is_same = found.size() == expected.size();
  for (std::size_t i = 0; is_same && i < found.size(); ++i) {
    is_same = std::abs(found[i] - expected[i]) <= kUlps * 0x1p-23f * std::abs(expected[i]);
  }
  if (!is_same) throw ModelFileError(where + " is not what config.json makes it");
}

std::string without_wrapper(const std::string& name) {
  return name.starts_with("net.") ? name.substr(4) : name;
}

fs::path weights_file(const fs::path& path) {
  const fs::path folder = checkpoint_folder(path);
  return path == folder || path.extension() == ".json" ? folder / "model.safetensors" : path;
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const Config& config) {
  Recorder recorder;
  std::visit(
      [&]<class Shape>(const Shape& shape) {
        if constexpr (std::is_same_v<Shape, PalmEShape>) {
          load_palme<NoWeights>(shape, recorder);
        } else if constexpr (std::is_same_v<Shape, TransformerShape>) {
          load_transformer<NoWeights>(shape, "", recorder);
        } else {
          load_vision<NoWeights>(shape, "", recorder);
        }
      },
      config.model);
  return std::move(recorder.asked);
}

Index parameter_count(const Config& config) {
  Index count = 0;
  for (const auto& [name, shape] : expected_tensors(config)) {
    count += std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
  }
  return count;
}

Checkpoint::Checkpoint(const fs::path& path, const Config& config) : file_(weights_file(path)) {
  const auto where = [&](const std::string& name) {
    return file_.path().string() + ": tensor " + name;
  };
  const auto buffers = buffers_of(config);
  for (const auto& [stored_name, entry] : file_.tensors()) {
    const std::string name = without_wrapper(stored_name);
    if (const auto buffer = buffers.find(name); buffer != buffers.end()) {
      check_buffer(buffer->second, entry, where(stored_name));
    } else if (!tensors_.emplace(name, entry).second) {
      throw ModelFileError(where(stored_name) + " is there twice");
    }
  }

  std::map<WeightFormat, Index> parameters;
  std::set<std::string> expected;
  for (const auto& [name, shape] : expected_tensors(config)) {
    expected.insert(name);
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw ModelFileError(where(name) + " is missing");
    const TensorEntry& entry = found->second;
    if (entry.shape != shape) {
      throw ModelFileError(where(name) + " is " + shape_text(entry.shape) +
                           ", config.json makes it " + shape_text(shape));
    }
    parameters[weight_format_of(entry, where(name))] += entry.count();
  }
  for (const auto& [name, entry] : tensors_) {
    if (!expected.contains(name)) throw ModelFileError(where(name) + " is not part of this model");
  }
  for (const auto& [format, count] : parameters) {
    if (count > parameters[format_]) format_ = format;
  }
  const auto trained = file_.metadata().find("trained");
  trained_ = trained == file_.metadata().end() || trained->second != "false";
}

std::vector<float> Checkpoint::numbers(const std::string& name) const {
  return numbers_of(tensors_.at(name), file_.path().string() + ": tensor " + name);
}

}  // namespace paligemma::zeta
