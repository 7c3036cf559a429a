#include "fast/core/probe.h"

#include <omp.h>

#include <algorithm>
#include <chrono>

#include "fast/core/kernels.h"

namespace paligemma {
namespace {

// Operations or bytes per second of all threads together, best of a few tries; `run(thread, threads)` says
// how many it did.
template <class Run>
double rate(const Run& run) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int attempt = 0; attempt < 6; ++attempt) {
    double all = 0;
    const auto start = Clock::now();
#pragma omp parallel reduction(+ : all)
    all += run(omp_get_thread_num(), omp_get_num_threads());
    best = std::max(best, all / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

double peak(double (*operations)(Index)) {
  constexpr Index kRounds = 1'000'000;  // a few milliseconds
  return rate([=](int, int) { return operations(kRounds); });
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

Limits probe(const std::vector<std::span<const std::byte>>& memory) {
  const ProbeKernels& of = kernels().probe;
  const auto pieces = pieces_of(memory);
  const double read = rate([&](int thread, int threads) {
    double bytes = 0;
    for (auto i = static_cast<std::size_t>(thread); i < pieces.size();
         i += static_cast<std::size_t>(threads)) {
      bytes += of.read(pieces[i].data(), static_cast<Index>(pieces[i].size()));
    }
    return bytes;
  });
  return {peak(of.f32), peak(of.bf16), peak(of.int8), read};
}

}  // namespace paligemma
