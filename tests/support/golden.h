// The golden activations of tests/golden/, and what this project makes of the same inputs.
#pragma once

#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "paligemma/checkpoint.h"
#include "paligemma/model.h"
#include "processing/image_file.h"
#include "processing/tokenizer.h"
#include "tensor/safetensors.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

struct RecordedTap {
  std::vector<Index> shape;
  std::vector<float> numbers;

  Index rows() const { return shape[0]; }
  std::vector<float> row(Index i) const {
    const auto width = static_cast<std::ptrdiff_t>(numbers.size()) / shape[0];
    return {numbers.begin() + i * width, numbers.begin() + (i + 1) * width};
  }
};
using RecordedTaps = std::map<std::string, RecordedTap>;

// A listener, of taps and of a Pipeline. A tap that comes again adds its rows.
struct Recorder {
  RecordedTaps taps;

  void operator()(const std::string& name, std::span<const float> numbers,
                  std::span<const Index> shape) {
    RecordedTap& tap = taps[name];
    if (tap.shape.empty()) {
      tap.shape.assign(shape.begin(), shape.end());
    } else {
      tap.shape[0] += shape[0];
    }
    tap.numbers.insert(tap.numbers.end(), numbers.begin(), numbers.end());
  }
  template <class T, int Rank>
  void operator()(const std::string& name, View<T, Rank> view) {
    (*this)(name, {view.data(), static_cast<std::size_t>(view.count())}, view.shape());
  }
};

template <class Number>
std::vector<Number> numbers_of(const TensorEntry& entry) {
  std::vector<Number> numbers(static_cast<std::size_t>(entry.count()));
  std::memcpy(numbers.data(), entry.bytes.data(), entry.bytes.size());
  return numbers;
}

// What transformers says: the files of tests/golden/README.md.
struct Golden {
  struct Tap : RecordedTap {
    float tolerance;  // absolute
  };

  std::filesystem::path folder;
  std::string prompt;
  std::vector<TokenId> prompt_ids, generated_ids;
  std::map<std::string, Tap> taps;

  explicit Golden(int version)
      : folder(source_dir() + "/tests/golden/paligemma" + std::to_string(version)) {
    const SafetensorsFile file(folder / "golden.safetensors");
    prompt = file.metadata().at("prompt");
    const auto ids = [&](const char* name) {
      const auto numbers = numbers_of<std::int64_t>(file.tensors().at(name));
      return std::vector<TokenId>(numbers.begin(), numbers.end());
    };
    prompt_ids = ids("prompt_ids");
    generated_ids = ids("generated_ids");
    for (const auto& [name, entry] : file.tensors()) {
      const auto tolerance = file.tensors().find(name + ":tolerance");
      if (tolerance == file.tensors().end()) continue;
      taps[name] = {{entry.shape, numbers_of<float>(entry)},
                    numbers_of<float>(tolerance->second)[0]};
    }
  }
};

// Its picture as the vision tower takes it.
inline Buffer<float, 3> pixels_of(const Golden& golden, const Config& config) {
  const Index R = config.vision.image_size;
  Buffer<std::uint8_t, 3> squashed({R, R, 3});
  resize(read_image(golden.folder / "picture.png").view(), config.resample, squashed.view());
  Buffer<float, 3> pixels({R, R, 3});
  normalize_pixels(squashed.view(), config.pixel_scale, pixels.view());
  return pixels;
}

// The model of a golden folder in float (which loses nothing of what is stored), and its picture as
// rows of the decoder.
struct GoldenModel {
  Golden golden;
  Config config;
  Checkpoint checkpoint;
  Model<Reference, HostWeights<float>> model;
  Recorder vision;  // the taps of the picture
  Buffer<float, 2> image_rows;

  explicit GoldenModel(int version)
      : golden(version),
        config(read_config(golden.folder)),
        checkpoint(golden.folder, config),
        model{reference, config.vision, config.text, config.image_token,
              checkpoint.weights<float>(config)},
        image_rows(encoded()) {}

  // The taps of a sequence that goes through the decoder at once, `prefix` of it seen both ways.
  RecordedTaps run(const std::vector<TokenId>& ids, Index prefix) const {
    Recorder recorder;
    const auto T = static_cast<Index>(ids.size());
    Session<Reference> session(model.text, T, T);
    forward(model, ids, image_rows.view(), prefix, session, Tap(recorder));
    return std::move(recorder.taps);
  }

  Index prefix() const { return static_cast<Index>(golden.prompt_ids.size()); }
  Index image_tokens() const { return model.vision.patches(); }

 private:
  Buffer<float, 2> encoded() {
    siglip::EncoderScratch<Reference> scratch(model.vision);
    return encode_image(model, pixels_of(golden, config).view(), scratch, Tap(vision));
  }
};

}  // namespace paligemma::test
