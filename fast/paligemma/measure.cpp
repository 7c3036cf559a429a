#include "fast/paligemma/measure.h"

#include <array>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "fast/core/kernels.h"
#include "fast/paligemma/floors.h"
#include "fast/paligemma/model.h"
#include "paligemma/adapter.h"
#include "paligemma/checkpoint.h"
#include "paligemma/generate.h"

namespace paligemma {
namespace {

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

  const auto start = std::chrono::steady_clock::now();
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
      const auto since = std::chrono::steady_clock::now();
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
  result.probe = median_of(limits);
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
