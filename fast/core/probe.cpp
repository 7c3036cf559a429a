#include "fast/core/probe.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "fast/core/kernels.h"
#include "fast/core/parallel.h"

namespace paligemma {
namespace {

// Operations or bytes per second of all threads together, best of a few tries; `part(i)` says how many
// part i of so many had.
template <class Part>
double rate(const Fast& on, std::size_t parts, const Part& part) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  std::vector<double> done(parts);
  for (int attempt = 0; attempt < 6; ++attempt) {
    const auto start = Clock::now();
    for_each(on, static_cast<Index>(parts), true, [&](Index i, int) {
      done[static_cast<std::size_t>(i)] = part(static_cast<std::size_t>(i));
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, std::accumulate(done.begin(), done.end(), 0.0) / seconds);
  }
  return best;
}

double peak(const Fast& on, double (*operations)(Index)) {
  constexpr Index kRounds = 100'000;  // some 0.1 ms
  constexpr std::size_t kParts = 16;  // of each thread
  return rate(on, kParts * static_cast<std::size_t>(on.threads()),
              [=](std::size_t) { return operations(kRounds); });
}

// Pieces from all over the memory; of little memory, the same ones again.
std::vector<std::span<const std::byte>> pieces_of(
    const std::vector<std::span<const std::byte>>& memory) {
  constexpr std::size_t kAll = std::size_t{1} << 30, kPiece = std::size_t{4} << 20;
  std::size_t bytes = 0;
  for (const auto& span : memory) bytes += span.size();
  const std::size_t step = kPiece * std::max<std::size_t>(1, bytes / kAll);
  std::vector<std::span<const std::byte>> pieces;
  for (const auto& span : memory) {
    for (std::size_t begin = 0; begin < span.size(); begin += step) {
      pieces.push_back(span.subspan(begin, std::min(kPiece, span.size() - begin)));
    }
  }
  return pieces;
}

}  // namespace

Limits probe(const Fast& on, const std::vector<std::span<const std::byte>>& memory) {
  const ProbeKernels& of = on.kernels().probe;
  const auto pieces = pieces_of(memory);
  const double read = rate(on, pieces.size(), [&](std::size_t i) {
    return of.read(pieces[i].data(), static_cast<Index>(pieces[i].size()));
  });
  return {peak(on, of.f32), peak(on, of.bf16), peak(on, of.int8), read};
}

}  // namespace paligemma
