// What stands behind every operation: a stream's scratch memory, and graphs recorded from it.
#include "cuda/core/stream.h"

#include <cstdint>
#include <utility>

#include "cuda/core/error.h"
#include "cuda/core/graph.h"
#include "cuda/core/scratch.h"
#include "cuda/gemma/kv_cache.h"
#include "cuda/tensor/residual_add.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::CudaError;
using cuda::DeviceBuffer;
using cuda::Graph;
using cuda::Scratch;
using cuda::Stream;

// ---- arena -----------------------------------------------------------------------------------------

class CudaArena : public CudaTest {};

TEST_F(CudaArena, GivesTheSameMemoryAgain) {
  cuda::Arena arena;
  void* const first = arena.take(1000);
  arena.give_back();
  EXPECT_EQ(arena.take(1000), first);
  arena.give_back();
  EXPECT_EQ(arena.take(10), first);  // less fits too
}

TEST_F(CudaArena, PiecesAreAlignedAndApart) {
  cuda::Arena arena;
  arena.take(100'000);
  arena.give_back();  // so that several pieces share a chunk
  std::uintptr_t end = 0;
  for (const std::size_t bytes : {1, 255, 256, 257, 0, 7}) {
    const auto at = reinterpret_cast<std::uintptr_t>(arena.take(bytes));
    EXPECT_EQ(at % 256, 0u);
    EXPECT_GE(at, end);
    end = at + bytes;
  }
}

TEST_F(CudaArena, ALargerPieceGetsAChunkOfItsOwn) {
  cuda::Arena arena;
  void* const small = arena.take(256);
  arena.give_back();
  void* const large = arena.take(512);
  EXPECT_NE(large, small);
  EXPECT_EQ(arena.take(256), small);
}

TEST_F(CudaArena, MovesWithItsMemory) {
  cuda::Arena arena;
  void* const piece = arena.take(256);
  cuda::Arena other = std::move(arena);
  other.give_back();
  EXPECT_EQ(other.take(256), piece);
  cuda::Arena third;
  third = std::move(other);
  third.give_back();
  EXPECT_EQ(third.take(256), piece);
}

// ---- scratch ---------------------------------------------------------------------------------------

class CudaScratch : public CudaTest {};

TEST_F(CudaScratch, IsReused) {
  const Stream stream;
  const auto where = [&] { return Scratch<float, 2>(stream, {3, 5}).view().data(); };
  const float* const first = where();
  EXPECT_EQ(where(), first);
}

TEST_F(CudaScratch, HasItsShape) {
  const Stream stream;
  const Scratch<bf16, 2> scratch(stream, {3, 5});
  EXPECT_EQ(scratch.view().shape(), (DeviceView<bf16, 2>::Shape{3, 5}));
  EXPECT_TRUE(scratch.view().is_row_major());
}

// Each keeps what was written to it, on the second round as on the first.
TEST_F(CudaScratch, NestedOnesDoNotOverlap) {
  const Stream stream;
  const auto a = random<float, 2>({3, 100}, 1), b = random<float, 2>({7, 100}, 2);
  const auto a_there = to_device(stream, a.view()), b_there = to_device(stream, b.view());
  for (int round = 0; round < 2; ++round) {
    const Scratch<float, 2> outer(stream, {3, 100});
    copy(stream, a_there.view(), outer.view());
    for (int time = 0; time < 2; ++time) {
      const Scratch<float, 2> inner(stream, {7, 100});
      copy(stream, b_there.view(), inner.view());
      EXPECT_TRUE(close(to_host(stream, inner.view()).view(), b.view(), kExact));
    }
    EXPECT_TRUE(close(to_host(stream, outer.view()).view(), a.view(), kExact));
  }
}

TEST_F(CudaScratch, StreamsDoNotShareIt) {
  const Stream one, other;
  const Scratch<float, 1> a(one, {10}), b(other, {10});
  EXPECT_NE(a.view().data(), b.view().data());
}

// ---- graph -----------------------------------------------------------------------------------------

class CudaGraph : public CudaTest {
 protected:
  // x += branch + branch, by way of scratch memory of two sizes.
  static void add_twice(const Stream& stream, DeviceView<const float, 2> branch,
                        DeviceView<float, 2> x) {
    const Scratch<float, 2> sum(stream, x.shape());
    copy(stream, branch, sum.view());
    residual_add(stream, branch, sum.view());
    const Scratch<float, 2> wider(stream, {x.size(0), 2 * x.size(1)});
    copy(stream, sum.view(), {wider.view().data(), x.shape()});
    residual_add(stream, {wider.view().data(), x.shape()}, x);
  }
};

TEST_F(CudaGraph, RunsNothingWhenMadeAndEverythingWhenLaunched) {
  const auto branch = random<float, 2>({3, 40}, 1), start = random<float, 2>({3, 40}, 2);
  auto expected = random<float, 2>({3, 40}, 2);
  const Stream stream;
  const auto branch_there = to_device(stream, branch.view());
  auto x = to_device(stream, start.view());
  const Graph graph(stream, [&] { residual_add(stream, branch_there.view(), x.view()); });
  EXPECT_TRUE(close(to_host(stream, x.view()).view(), start.view(), kExact));
  for (int time = 0; time < 2; ++time) {
    graph.launch(stream);
    for (Index i = 0; i < 120; ++i) expected.view().data()[i] += branch.view().data()[i];
    EXPECT_TRUE(close(to_host(stream, x.view()).view(), expected.view(), kExact));
  }
}

TEST_F(CudaGraph, KeepsTheOrderAmongWhatWasQueued) {
  const auto branch = random<float, 2>({3, 40}, 1), start = random<float, 2>({3, 40}, 2);
  const Stream stream;
  const auto branch_there = to_device(stream, branch.view());
  auto x = to_device(stream, start.view()), expected = to_device(stream, start.view());
  add_twice(stream, branch_there.view(), expected.view());  // the arena is as large as it gets
  const Graph graph(stream, [&] {
    cuda::fill_bytes(stream, x.view().data(), 0, x.bytes());
    residual_add(stream, branch_there.view(), x.view());
    add_twice(stream, branch_there.view(), x.view());
  });
  graph.launch(stream);
  residual_add(stream, branch_there.view(), x.view());  // behind the graph
  Buffer<float, 2> four_times({3, 40});
  for (Index i = 0; i < 120; ++i) four_times.view().data()[i] = 4 * branch.view().data()[i];
  // branch + 2 branch rounds once, the rest is exact or rounds once.
  EXPECT_TRUE(close(to_host(stream, x.view()).view(), four_times.view(), float_operations(2)));
}

// No allocation per token: a graph can record none.
TEST_F(CudaGraph, NothingIsAllocatedOnTheSecondRound) {
  const Stream stream;
  const auto branch = to_device(stream, random<float, 2>({3, 40}, 1).view());
  auto x = to_device(stream, random<float, 2>({3, 40}, 2).view());
  const auto queue = [&] { add_twice(stream, branch.view(), x.view()); };
  EXPECT_THROW(Graph(stream, queue), CudaError);
  stream.wait();  // not recording any more
  queue();
  EXPECT_NO_THROW(Graph(stream, queue).launch(stream));
  stream.wait();
}

// What a decoded token does: the same graph, one row further each time.
TEST_F(CudaGraph, ReadsNumbersInDeviceMemoryAnewAtEachLaunch) {
  const auto row = random<float, 3>({1, 1, 8}, 1);
  Buffer<float, 3> expected({4, 1, 8});
  const Stream stream;
  const auto row_there = to_device(stream, row.view());
  auto cache = to_device(stream, expected.view());
  DeviceBuffer<Index, 1> position({1});
  const Graph graph(
      stream, [&] { kv_cache_append(stream, row_there.view(), position.view(), cache.view()); });
  for (const Index p : {2, 0, 4}) {  // 4 is behind the last row
    cuda::copy_to_device(stream, position.view().data(), &p, sizeof p);
    graph.launch(stream);
    for (Index h = 0; p < 4 && h < 8; ++h) expected.view()(p, 0, h) = row.view()(0, 0, h);
    EXPECT_TRUE(close(to_host(stream, cache.view()).view(), expected.view(), kExact)) << p;
  }
}

TEST_F(CudaGraph, RefusesToAllocateOrToWaitWhileRecording) {
  const Stream stream;
  EXPECT_THROW(Graph(stream, [] { cuda::release(cuda::allocate(8)); }), CudaError);
  EXPECT_THROW(Graph(stream, [&] { stream.wait(); }), CudaError);
  EXPECT_NO_THROW(stream.wait());  // not recording any more
}

// CUDA may keep a copy's host address instead; the emulation says that nobody should rely on it.
TEST_F(CudaGraph, RefusesToCopyFromOrToTheHostWhileRecording) {
  if (!cuda::is_emulated()) GTEST_SKIP() << "what CUDA refuses depends on the host's memory";
  const Stream stream;
  DeviceBuffer<float, 1> x({1});
  float number = 1;
  EXPECT_THROW(
      Graph(stream, [&] { copy_to_device(stream, x.view().data(), &number, sizeof number); }),
      CudaError);
  EXPECT_THROW(
      Graph(stream, [&] { copy_to_host(stream, &number, x.view().data(), sizeof number); }),
      CudaError);
}

// What the program prints in one line.
TEST_F(CudaArena, MoreMemoryThanThereIsSaysHowMuch) {
  try {
    DeviceBuffer<float, 1> buffer({Index{1} << 48});
    FAIL() << "a petabyte";
  } catch (const CudaError& error) {
    EXPECT_NE(std::string(error.what()).find("1125899906842624 bytes"), std::string::npos)
        << error.what();
  }
}

TEST_F(CudaGraph, PassesOnWhatItsQueueThrows) {
  const Stream stream;
  DeviceBuffer<float, 2> x({2, 4});
  const DeviceBuffer<float, 2> other({2, 5});
  const auto wrong = [&] { residual_add(stream, other.view(), x.view()); };
  EXPECT_THROW(Graph(stream, wrong), ContractError);
  EXPECT_NO_THROW(stream.wait());
}

}  // namespace
}  // namespace paligemma
