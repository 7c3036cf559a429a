#include "fast/paligemma/measure.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "fast/core/kernels.h"
#include "fast/paligemma/model.h"
#include "paligemma/adapter.h"
#include "paligemma/checkpoint.h"
#include "paligemma/generate.h"

namespace paligemma {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// What a phase does at least.
struct Work {
  double operations, bytes;
  double floor_ms(double peak, double read) const {
    return 1e3 * std::max(operations / peak, bytes / read);
  }
};

double numbers(const std::vector<ExpectedTensor>& tensors, std::string_view prefix) {
  double all = 0;
  for (const auto& [name, shape] : tensors) {
    double count = 1;
    for (const Index size : shape) count *= static_cast<double>(size);
    if (name.starts_with(prefix) && shape.size() > 1) all += count;
  }
  return all;
}

// Operations are two for each weight and row, and attention's two products. Of the head and the embedding,
// which are one matrix where they are tied, the head's product for one row of a sequence counts.
class Floors {
 public:
  Floors(const Config& config, double bytes_per_weight)
      : vision_(config.vision), text_(config.text), bytes_(bytes_per_weight) {
    const auto tensors = expected_tensors(config);
    vision_weights_ = numbers(tensors, "vision_tower.") -
                      static_cast<double>(vision_.patches() * vision_.width) +
                      numbers(tensors, "multi_modal_projector.");
    layer_weights_ = numbers(tensors, "language_model.model.layers.");
    head_ = static_cast<double>(text_.vocabulary * text_.width);
  }

  Work encode() const {
    const auto L = static_cast<double>(vision_.patches());
    const double attention = 4 * L * L * static_cast<double>(vision_.width * vision_.layers);
    return {2 * L * vision_weights_ + attention, vision_weights_ * std::max(bytes_, 2.0)};
  }
  // T tokens behind `depth` others, of each of so many sequences.
  Work decoder(Index T, Index depth, Index sequences = 1) const {
    const auto rows = static_cast<double>(T), keys = static_cast<double>(depth + T),
               each = static_cast<double>(sequences);
    const double attention =
        4 * rows * keys * static_cast<double>(text_.heads * text_.head_size * text_.layers);
    const double cache = 2 * keys * sizeof(float) *
                         static_cast<double>(text_.kv_heads * text_.head_size * text_.layers);
    return {each * (2 * (rows * layer_weights_ + head_) + attention),
            (layer_weights_ + head_) * bytes_ + each * cache};
  }

 private:
  siglip::EncoderShape vision_;
  gemma::DecoderShape text_;
  double bytes_, vision_weights_, layer_weights_, head_;
};

struct Samples {
  std::vector<double> ms, floor_ms, multiple;
  void add(double milliseconds, double floor) {
    ms.push_back(milliseconds);
    floor_ms.push_back(floor);
    multiple.push_back(milliseconds / floor);
  }
  Measured median_of() const { return {median(ms), median(floor_ms), median(multiple)}; }
};

double peak(const Limits& limits, WeightFormat format) {
  if (is_quantized(format)) return limits.int8;
  return format == WeightFormat::bf16 ? limits.bf16 : limits.f32;
}

// Of the language model's weights. The vision tower's are not quantised.
template <class Real>
constexpr double kBytesPerWeight = sizeof(Real);
template <>
constexpr double kBytesPerWeight<Int8Block> = sizeof(Int8Block) / static_cast<double>(kBlock);
template <>
constexpr double kBytesPerWeight<Int4Block> = sizeof(Int4Block) / static_cast<double>(kBlock);

// What runs, and how it multiplies.
std::array<std::string_view, 2> names_of(const Fast& on) {
  return {on.kernels().name, on.kernels().products};
}
std::array<std::string_view, 2> names_of(const Reference&) { return {"reference", "plain loops"}; }

// So many sequences with the rows of the session's own.
template <class On>
std::vector<gemma::Segment> copies(const On& on, Session<On>& session, Index sequences,
                                   Index capacity) {
  KvCache<On>& cache = session.cache;
  const Index T = cache.length(session.sequence);
  std::vector<gemma::Segment> all;
  for (Index b = 0; b < sequences; ++b) {
    const SequenceId id = cache.open(capacity);
    cache.extend(on, id, T);
    for (Index i = 0; i < cache.layers(); ++i) {
      kv_cache_append(on, cache.keys(session.sequence, i).rows(0, T), 0, cache.keys(id, i));
      kv_cache_append(on, cache.values(session.sequence, i).rows(0, T), 0, cache.values(id, i));
    }
    all.push_back({id, T, 1, T});
  }
  return all;
}

template <class Real, class On>
Measurement measure_as(const On& on, const Fast& machine, const std::filesystem::path& path,
                       const MeasureOptions& options) {
  constexpr WeightFormat kFormat = kFormatOf<Real>;
  constexpr Index kWords = 8, kDecoded = 8;
  const Config config = read_config(checkpoint_folder(path));

  const auto start = Clock::now();
  Checkpoint checkpoint(path, config);
  if (options.adapter) {
    checkpoint.adapt(std::make_shared<const Adapter>(*options.adapter, checkpoint, config));
  }
  auto placed = place_weights<Real>(on, checkpoint, config, {});
  const auto [kernels, products] = names_of(on);
  Measurement result{std::string(name_of(kFormat)),
                     std::string(kernels),
                     std::string(products),
                     {},
                     milliseconds_since(start),
                     {},
                     {},
                     {},
                     {},
                     {}};
  const Model<On, WeightsOn<On, Real>> model{on,
                                             config.vision,
                                             config.text,
                                             config.image_token,
                                             std::move(placed.weights),
                                             std::move(placed.memory)};

  const Floors floors(checkpoint.as_stored(config), kBytesPerWeight<Real>);
  const Index R = config.vision.image_size, L = config.vision.patches();
  const Buffer<float, 3> pixels({R, R, 3});
  siglip::EncoderScratch<On> scratch(model.vision);
  std::vector<TokenId> words(static_cast<std::size_t>(L + kWords), 1);
  std::fill_n(words.begin(), L, config.image_token);
  const SamplerOptions greedy;

  const auto memory = checkpoint.memory();
  Samples encode, prefill, decode, decode0, batch;
  std::vector<Limits> limits;
  for (int round = -1; round < options.rounds; ++round) {  // the first one warms up
    Limits before = probe(machine, memory);
    const auto time = [&](Samples& samples, Index count, Work work, WeightFormat format,
                          const auto& run) {
      const auto since = Clock::now();
      run();
      const double ms = milliseconds_since(since) / static_cast<double>(count);
      const Limits after = probe(machine, memory);
      if (round >= 0) {
        samples.add(ms, work.floor_ms((peak(before, format) + peak(after, format)) / 2,
                                      (before.read + after.read) / 2));
        limits.push_back(after);
      }
      before = after;
    };

    std::optional<Buffer<float, 2>> rows;
    time(encode, 1, floors.encode(), is_quantized(kFormat) ? WeightFormat::bf16 : kFormat,
         [&] { rows.emplace(encode_image(model, pixels.view(), scratch, NoTap())); });

    const Index T = L + kWords;
    Session<On> session(model.text, T, T + kDecoded, std::max(options.batch, Index{1}));
    time(prefill, 1, floors.decoder(T, 0), kFormat,
         [&] { forward(model, words, std::as_const(*rows).view(), T, session, NoTap()); });
    time(decode, kDecoded, floors.decoder(1, T), kFormat, [&] {
      for (Index i = 0; i < kDecoded; ++i) {
        paligemma::decode(model, TokenId{1}, T, session, greedy, i);
      }
    });
    if (options.batch > 0) {
      session.cache.truncate(session.sequence, T);
      auto segments = copies(on, session, options.batch, T + kDecoded);
      const std::vector<TokenId> ids(static_cast<std::size_t>(options.batch), 1);
      time(batch, kDecoded, floors.decoder(1, T, options.batch), kFormat, [&] {
        for (Index i = 0; i < kDecoded; ++i) {
          forward_step(model, ids, std::span<const gemma::Segment>(segments), session);
          for (Index b = 0; b < options.batch; ++b) choose(model, session, greedy, i, b);
          for (gemma::Segment& segment : segments) ++segment.first;
        }
      });
    }
    time(decode0, kDecoded, floors.decoder(1, 0), kFormat, [&] {
      for (Index i = 0; i < kDecoded; ++i) {
        session.cache.truncate(session.sequence, 0);
        paligemma::decode(model, TokenId{1}, 1, session, greedy, i);
      }
    });
  }
  result.encode = encode.median_of();
  result.prefill = prefill.median_of();
  result.decode = decode.median_of();
  result.decode0 = decode0.median_of();
  if (options.batch > 0) result.batch = batch.median_of();
  const auto median_limit = [&](double Limits::*limit) {
    std::vector<double> all;
    all.reserve(limits.size());
    for (const Limits& l : limits) all.push_back(l.*limit);
    return median(all);
  };
  result.probe = {median_limit(&Limits::f32), median_limit(&Limits::bf16),
                  median_limit(&Limits::int8), median_limit(&Limits::read)};
  return result;
}

}  // namespace

template <class On>
Measurement measure(const On& on, const Fast& machine, const std::filesystem::path& path,
                    const MeasureOptions& options) {
  const WeightFormat format = options.dtype
                                  ? *options.dtype
                                  : Checkpoint(path, read_config(checkpoint_folder(path))).format();
  return with_format(
      format, [&]<class Real>(Real) { return measure_as<Real>(on, machine, path, options); });
}

template Measurement measure(const Fast&, const Fast&, const std::filesystem::path&,
                             const MeasureOptions&);
template Measurement measure(const Reference&, const Fast&, const std::filesystem::path&,
                             const MeasureOptions&);

}  // namespace paligemma
