#include <algorithm>
#include <stdexcept>
#include <string>

#include "cuda/core/device.h"
#include "cuda/core/scratch.h"
#include "cuda/gemma/sampler.h"
#include "cuda/gemma/sampler/walk.h"
#include "tensor/philox.h"

namespace paligemma::cuda {
namespace {

using namespace sampler;

// The first key behind `last`, by a look at all of them.
__device__ Word next_in_order(const float* p, Index V, Word last) {
  Word next = 0;
  for (Index v = 0; v < V; ++v) {
    const Word key = order_key(p[v], v);
    if (key < last) next = max(next, key);
  }
  return next;
}

// Kernel 1, one_thread. The reference without its sort: whoever comes next is looked for, V steps
// each.
__global__ void sampler_one_thread(const float* logits, Index V, SamplerOptions options,
                                   const std::uint64_t* step, float* p, Sampled* out) {
  Word best = 0;
  for (Index v = 0; v < V; ++v) best = max(best, logit_key(logits[v], v));
  double sum = 0;
  for (Index v = 0; v < V; ++v) sum += expf(logits[v] - logit_of(best));
  *out = report(id_of(best), logits, best, sum);
  if (options.temperature == 0 || out->problem != Sampled::kFine) return;

  float tempered = 0.0f;
  for (Index v = 0; v < V; ++v) {
    p[v] = expf((logits[v] - logit_of(best)) / options.temperature);
    tempered += p[v];
  }
  for (Index v = 0; v < V; ++v) p[v] /= tempered;

  // Keep the first top_k, then those that the mass before them has not used up.
  const Index most = options.top_k > 0 ? min(options.top_k, V) : V;
  Index kept = 0;
  double mass = 0;
  for (Word key = ~Word{0}; kept < most; ++kept) {
    if (options.top_p < 1 && mass > options.top_p) break;
    key = next_in_order(p, V, key);
    mass += p_of(key);
  }

  // Draw: walk through the kept tokens until their mass passes the random share of the whole.
  const double target = philox_uniform(options.seed, *step) * mass;
  double passed = 0;
  Word key = ~Word{0};
  for (Index i = 0; i < kept && passed <= target; ++i) {
    key = next_in_order(p, V, key);
    passed += p_of(key);
  }
  *out = report(id_in_order(key), logits, best, sum);
}

// Each block measures the logits of its stretch. Kernel 2, one_block, launches one; kernel 3,
// many_blocks, one for every 1024 logits, so that the second walk finds them in L1.
template <int Threads>
__global__ void sampler_measure(const float* logits, Index V, Index stretch, float temperature,
                                Partial* partials) {
  __shared__ Reductions<Threads / kWarpSize> shared;
  const Index begin = blockIdx.x * stretch + threadIdx.x, end = min((blockIdx.x + 1) * stretch, V);
  Word key = 0;
  for (Index v = begin; v < end; v += Threads) key = max(key, logit_key(logits[v], v));
  key = block_largest(key, shared.key);

  float sum = 0.0f, tempered = 0.0f;
  for (Index v = begin; v < end; v += Threads) {
    if (logits[v] == -INFINITY) continue;  // adds nothing, also where all of the stretch is so
    const float below = logits[v] - logit_of(key);
    sum += expf(below);
    tempered += expf(below / temperature);
  }
  sum = block_sum(sum, shared.sum);
  tempered = block_sum(tempered, shared.tempered);
  if (threadIdx.x == 0) partials[blockIdx.x] = {key, sum, tempered};
}

// What greedy and log_probability report. One block; id < 0 stands for the largest logit.
constexpr int kFinishThreads = 256;
__global__ void sampler_finish(const Partial* partials, int n, const float* logits, TokenId id,
                               Sampled* out) {
  __shared__ Reductions<kFinishThreads / kWarpSize> shared;
  const Partial whole = combine(partials, n, 1.0f, shared);
  if (threadIdx.x != 0) return;
  *out = report(id < 0 ? id_of(whole.key) : id, logits, whole.key, whole.sum);
}

// p of each token, and the tally of each first digit: of the block's tokens in shared memory, then,
// where there are any, of all blocks' in `bins`. p is 0 where a logit is refused.
template <int Threads>
__global__ void sampler_probabilities(const float* logits, Index V, Index stretch,
                                      float temperature, const Partial* partials, int n, float* p,
                                      Tally* bins) {
  __shared__ Reductions<Threads / kWarpSize> shared;
  __shared__ Tally mine[kBins];
  for (int bin = threadIdx.x; bin < kBins; bin += Threads) mine[bin] = {0, 0, 0};
  const Partial whole = combine(partials, n, temperature, shared);  // bins are empty before its end

  const Index begin = blockIdx.x * stretch + threadIdx.x, end = min((blockIdx.x + 1) * stretch, V);
  const float max = logit_of(whole.key);
  const bool refused = !(-INFINITY < max && max < INFINITY);
  for (Index v = begin; v < end; v += Threads) {
    p[v] = refused ? 0.0f : expf((logits[v] - max) / temperature) / whole.tempered;
    Tally& bin = mine[order_key(p[v], v) >> kTop];
    atomicAdd(&bin.mass, mass_of(p[v]));
    atomicAdd(&bin.count, 1);
  }
  __syncthreads();  // all of the block's tokens are counted before anyone hands them on
  for (int bin = threadIdx.x; bin < kBins; bin += Threads) {
    if (mine[bin].count == 0) continue;
    atomicAdd(&bins[bin].mass, mine[bin].mass);
    atomicAdd(&bins[bin].count, mine[bin].count);
  }
}

// One block: how far the kept tokens go, then the one among them that the random number points at.
__global__ void __launch_bounds__(kWalkThreads, 1)
    sampler_draw(const float* logits, const float* p, Index V, const Partial* partials, int n,
                 const Tally* first, Tally keep, std::uint64_t seed, const std::uint64_t* step,
                 Sampled* out) {
  __shared__ Reductions<kWalkThreads / kWarpSize> shared;
  __shared__ Tally bins[kBins];
  __shared__ Place last_place, drawn_place;
  const Partial whole = combine(partials, n, 1.0f, shared);

  const Place last = walk_to(keep, first, p, V, bins, last_place);
  const Tally kept = last.before + last.own;
  const double target = philox_uniform(seed, *step) * static_cast<double>(kept.mass);
  const Tally share{static_cast<Word>(target), kept.count, 0};
  const Place drawn = walk_to(share, first, p, V, bins, drawn_place);

  if (threadIdx.x != 0) return;
  *out = report(drawn.own.id, logits, whole.key, whole.sum);
  if (out->problem != Sampled::kFine) out->id = id_of(whole.key);
}

constexpr int kManyThreads = 128;  // of a block, where there are many,
constexpr Index kStretch = 1024;   // and its logits

// The largest logit, or the token `id` >= 0. Threads threads for each `stretch` of logits.
template <int Threads>
void find_largest(const Stream& stream, DeviceView<const float, 1> logits, Index stretch,
                  TokenId id, Sampled* out) {
  const Index V = logits.size(0);
  const unsigned blocks = blocks_for(V, stretch);
  const Scratch<Partial, 1> partials(stream, {blocks});
  launch({blocks, Threads, 0, stream}, sampler_measure<Threads>, logits.data(), V, stretch, 1.0f,
         partials.view().data());
  launch({1, kFinishThreads, 0, stream}, sampler_finish, partials.view().data(), blocks,
         logits.data(), id, out);
}

template <int Threads>
void draw(const Stream& stream, DeviceView<const float, 1> logits, Index stretch,
          const SamplerOptions& options, const std::uint64_t* step, Sampled* out) {
  const Index V = logits.size(0);
  const unsigned blocks = blocks_for(V, stretch);
  const Scratch<Partial, 1> partials(stream, {blocks});
  const Scratch<float, 1> p(stream, {V});
  const Scratch<Tally, 1> bins(stream, {kBins});
  launch({blocks, Threads, 0, stream}, sampler_measure<Threads>, logits.data(), V, stretch,
         options.temperature, partials.view().data());
  fill_bytes(stream, bins.view().data(), 0, kBins * sizeof(Tally));
  launch({blocks, Threads, 0, stream}, sampler_probabilities<Threads>, logits.data(), V, stretch,
         options.temperature, partials.view().data(), blocks, p.view().data(), bins.view().data());

  const Index most = options.top_k > 0 ? std::min(options.top_k, V) : V;
  const Word mass = options.top_p < 1 ? static_cast<Word>(options.top_p * 0x1p60f) : ~Word{0};
  launch({1, kWalkThreads, 0, stream}, sampler_draw, logits.data(), p.view().data(), V,
         partials.view().data(), blocks, bins.view().data(),
         Tally{mass, static_cast<unsigned>(most), 0}, options.seed, step, out);
}

void check_logits(DeviceView<const float, 1> logits) {
  PG_CHECK(logits.size(0) > 0, "no logits");
  PG_CHECK(logits.is_row_major(), "strided view");
}

// What `queue` makes its last kernel write, waited for.
template <class Queue>
Sampled sampled_by(const Stream& stream, Queue queue) {
  const Scratch<Sampled, 1> out(stream, {1});
  queue(out.view());
  Sampled sampled;
  copy_to_host(stream, &sampled, out.view().data(), sizeof sampled);
  stream.wait();
  return sampled;
}

}  // namespace

void throw_if_refused(const Sampled& sampled) {
  if (sampled.problem == Sampled::kNotFinite) {
    throw std::runtime_error("logit " + std::to_string(sampled.id) + " is not a finite number");
  }
  if (sampled.problem == Sampled::kAllMinusInfinity) {
    throw std::runtime_error("every logit is -infinity");
  }
}

void sample(const Stream& stream, DeviceView<const float, 1> logits, const SamplerOptions& options,
            DeviceView<const std::uint64_t, 1> step, DeviceView<Sampled, 1> out,
            SamplerKernel kernel) {
  check_logits(logits);
  PG_CHECK(options.temperature >= 0 && options.temperature < INFINITY,
           "temperature " + std::to_string(options.temperature));
  PG_CHECK(options.top_k >= 0 && options.top_p >= 0, "negative sampler option");
  const Index V = logits.size(0);
  const bool is_greedy = options.temperature == 0;
  PG_CHECK(V <= (is_greedy ? Index{INT32_MAX} : kMaxTokens), "logits " + shape_text(logits));
  PG_CHECK(step.size(0) == 1 && out.size(0) == 1,
           "step " + shape_text(step) + ", out " + shape_text(out));

  switch (kernel) {
    case SamplerKernel::one_thread: {
      const Scratch<float, 1> p(stream, {V});
      return launch({1, 1, 0, stream}, sampler_one_thread, logits.data(), V, options, step.data(),
                    p.view().data(), out.data());
    }
    case SamplerKernel::one_block:
      return is_greedy ? find_largest<kWalkThreads>(stream, logits, V, -1, out.data())
                       : draw<kWalkThreads>(stream, logits, V, options, step.data(), out.data());
    case SamplerKernel::best:
    case SamplerKernel::many_blocks:
      return is_greedy
                 ? find_largest<kManyThreads>(stream, logits, kStretch, -1, out.data())
                 : draw<kManyThreads>(stream, logits, kStretch, options, step.data(), out.data());
  }
}

TokenId sample(const Stream& stream, DeviceView<const float, 1> logits,
               const SamplerOptions& options, std::uint64_t step) {
  const Scratch<std::uint64_t, 1> there(stream, {1});
  copy_to_device(stream, there.view().data(), &step, sizeof step);
  const Sampled sampled = sampled_by(stream, [&](DeviceView<Sampled, 1> out) {
    sample(stream, logits, options, there.view(), out);
  });
  throw_if_refused(sampled);
  return sampled.id;
}

float log_probability(const Stream& stream, DeviceView<const float, 1> logits, TokenId id) {
  check_logits(logits);
  PG_CHECK(0 <= id && id < logits.size(0),
           "token " + std::to_string(id) + ", logits " + shape_text(logits));
  const Sampled sampled = sampled_by(stream, [&](DeviceView<Sampled, 1> out) {
    find_largest<kManyThreads>(stream, logits, kStretch, id, out.data());
  });
  return sampled.log_probability;
}

}  // namespace paligemma::cuda
