#include "cuda/tensor/scaled_dot_product_attention.h"

#include <algorithm>
#include <cmath>
#include <ostream>
#include <utility>
#include <vector>

#include "cuda/core/graph.h"
#include "gemma/prefix_lm_mask.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::AttentionKernel;
using cuda::DeviceBuffer;

struct Sizes {
  Index T, S, N, K, H;
  friend std::ostream& operator<<(std::ostream& out, const Sizes& z) {
    return out << "T " << z.T << ", S " << z.S << ", N " << z.N << ", K " << z.K << ", H " << z.H;
  }
};

constexpr Index kNoMask = -1;
struct Mask {
  Index prefix, window;
};
constexpr Mask kMasks[] = {{kNoMask, 0}, {0, kNoWindow}, {20, kNoWindow}, {3, 5}, {0, 1}};

// Ranges of T queries, of which the last is at the last key; one of its own for each if they are more
// than the keys.
Buffer<KeyRange, 1> ranges_of(Mask mask, Index T, Index S) {
  Buffer<KeyRange, 1> visible({mask.prefix == kNoMask ? 0 : T});
  for (Index t = 0; t < visible.view().count(); ++t) {
    const Index query = S - T + t;
    KeyRange keys = query >= 0 ? visible_keys(query, mask.prefix, mask.window) : KeyRange{t % S, S};
    keys.end = std::min(keys.end, S);
    visible.view()(t) = keys;
  }
  return visible;
}

bool is_seen(const Buffer<KeyRange, 1>& visible, Index s) {
  const KeyRange *begin = visible.view().data(), *end = begin + visible.view().count();
  return begin == end ||
         std::any_of(begin, end, [s](KeyRange r) { return r.begin <= s && s < r.end; });
}

// What bf16 holds exactly, if tensor cores are to multiply it.
Buffer<float, 3> numbers(std::array<Index, 3> shape, unsigned seed, bool as_bf16) {
  auto buffer = random<float, 3>(shape, seed);
  for (Index i = 0; i < buffer.view().count(); ++i) {
    float& x = buffer.view().data()[i];
    if (as_bf16) x = widen(narrow<bf16>(x));
  }
  return buffer;
}

struct Inputs {
  Buffer<float, 3> q, k, v;
  explicit Inputs(Sizes z, bool as_bf16 = false)
      : q(numbers({z.T, z.N, z.H}, 1, as_bf16)),
        k(numbers({z.S, z.K, z.H}, 2, as_bf16)),
        v(numbers({z.S, z.K, z.H}, 3, as_bf16)) {}

  Buffer<float, 3> expected(View<const KeyRange, 1> visible, AttentionRule rule) const {
    Buffer<float, 3> out(q.view().shape());
    scaled_dot_product_attention(reference, q.view(), k.view(), v.view(), visible, rule,
                                 out.view());
    return out;
  }
};

// The rows that somebody sees; what stands in the others nobody has written.
DeviceBuffer<float, 3> seen_rows(const cuda::Stream& stream, View<const float, 3> from,
                                 const Buffer<KeyRange, 1>& visible) {
  DeviceBuffer<float, 3> to(from.shape());
  for (Index s = 0; s < from.size(0); ++s) {
    if (!is_seen(visible, s)) continue;
    const auto row = from.row(s);
    copy_to_device(stream, to.view().row(s).data(), row.data(),
                   static_cast<std::size_t>(row.count()) * sizeof(float));
  }
  return to;
}

AttentionRule rule_for(Index H, float soft_cap = kNoSoftCap) {
  return {1 / std::sqrt(static_cast<float>(H)), soft_cap};
}

Tolerance tolerance_for(AttentionKernel kernel, Sizes z) {
  const Tolerance sums = twice(float_sum_of(z.S * z.H, 1));
  if (kernel != AttentionKernel::tensor_core) return sums;
  return {sums.relative, sums.absolute + weights_in_bf16(1).absolute};
}

// One run, in this order of threads.
void expect_matches_reference(AttentionKernel kernel, Sizes z, Mask mask, float soft_cap,
                              unsigned order) {
  const Inputs in(z, kernel == AttentionKernel::tensor_core);
  const auto visible = ranges_of(mask, z.T, z.S);
  const auto rule = rule_for(z.H, soft_cap);
  const auto expected = in.expected(visible.view(), rule);

  const cuda::Stream stream;
  const auto q = to_device(stream, in.q.view());
  const auto k = seen_rows(stream, in.k.view(), visible);
  const auto v = seen_rows(stream, in.v.view(), visible);
  const auto visible_there = to_device(stream, visible.view());
  DeviceBuffer<float, 3> out_there(in.q.view().shape());
  cuda::set_thread_order(order);
  scaled_dot_product_attention(stream, q.view(), k.view(), v.view(), visible_there.view(), rule,
                               out_there.view(), kernel);
  const auto out = to_host(stream, out_there.view());
  EXPECT_TRUE(close(out.view(), expected.view(), tolerance_for(kernel, z)))
      << z << ", prefix " << mask.prefix << ", window " << mask.window << ", cap " << soft_cap
      << ", order of threads " << order;
}

struct Case {
  AttentionKernel kernel;
  Sizes sizes;
};

class CudaAttentionOf : public CudaTest, public ::testing::WithParamInterface<Case> {};

// Each mask in another order of threads, and then capped scores.
TEST_P(CudaAttentionOf, MatchesReference) {
  const auto [kernel, sizes] = GetParam();
  unsigned order = 0;
  for (const Mask mask : kMasks) {
    expect_matches_reference(kernel, sizes, mask, kNoSoftCap, order++);
  }
  expect_matches_reference(kernel, sizes, {3, kNoWindow}, 0.5f, 0);
}

constexpr AttentionKernel kKernels[] = {AttentionKernel::block_per_query, AttentionKernel::online,
                                        AttentionKernel::tensor_core, AttentionKernel::split_keys};

// The heads of SigLIP-So400m (16, 16, 72), Gemma 2B (8, 1, 256), Gemma 2 2B (8, 4, 256) and the golden
// models (4, 1, 12), with few queries and keys; then what is not a whole tile, warp or pack of heads; then
// more keys than 448 pixels and an answer have, twice 32 blocks of split_keys and some.
constexpr Sizes kSizes[] = {{1, 33, 16, 16, 72}, {1, 65, 8, 4, 256}, {7, 33, 8, 1, 256},
                            {9, 33, 4, 1, 12},   {1, 1, 1, 1, 1},    {1, 7, 1, 1, 300},
                            {1, 33, 12, 1, 32},  {3, 150, 2, 1, 8},  {7, 7, 8, 4, 7},
                            {7, 65, 2, 2, 72},   {7, 33, 1, 1, 80},  {17, 7, 4, 1, 8},
                            {65, 65, 1, 1, 80},  {65, 33, 1, 1, 72}, {33, 65, 1, 1, 1},
                            {33, 65, 1, 1, 256}, {1, 2100, 2, 1, 8}};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto kernel : kKernels) {
    for (const Sizes z : kSizes) {
      if (kernel == AttentionKernel::tensor_core && z.H > 256) continue;
      // Each query by itself: more of them show nothing more.
      if (kernel == AttentionKernel::split_keys && z.T > 7) continue;
      if (kernel == AttentionKernel::block_per_query && z.T > 17) continue;
      cases.push_back({kernel, z});
    }
  }
  return cases;
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  constexpr const char* kNames[] = {"Best", "BlockPerQuery", "Online", "TensorCore", "SplitKeys"};
  const Sizes z = info.param.sizes;
  return std::string(kNames[static_cast<int>(info.param.kernel)]) + "_T" + std::to_string(z.T) +
         "_S" + std::to_string(z.S) + "_N" + std::to_string(z.N) + "_K" + std::to_string(z.K) +
         "_H" + std::to_string(z.H);
}

INSTANTIATE_TEST_SUITE_P(Kernels, CudaAttentionOf, ::testing::ValuesIn(all_cases()), name_of);

class CudaAttention : public CudaTest {};

// What is computed on the device for inputs of the host.
Buffer<float, 3> attention(const cuda::Stream& stream, const Inputs& in,
                           const Buffer<KeyRange, 1>& visible, AttentionRule rule,
                           AttentionKernel kernel) {
  const auto q = to_device(stream, in.q.view());
  const auto k = seen_rows(stream, in.k.view(), visible);
  const auto v = seen_rows(stream, in.v.view(), visible);
  const auto visible_there = to_device(stream, visible.view());
  DeviceBuffer<float, 3> out(in.q.view().shape());
  scaled_dot_product_attention(stream, q.view(), k.view(), v.view(), visible_there.view(), rule,
                               out.view(), kernel);
  return to_host(stream, out.view());
}

// docs/tensor/scaled_dot_product_attention.md, "By hand".
TEST_F(CudaAttention, WorkedExample) {
  const cuda::Stream stream;
  Inputs in({1, 3, 1, 1, 4});
  const auto set = [](Buffer<float, 3>& to, std::initializer_list<float> numbers) {
    std::copy(numbers.begin(), numbers.end(), to.view().data());
  };
  set(in.q, {2, 0, 0, 0});
  set(in.k, {0, 1, 0, 0, 1.0986123f, 0, 0, 0, 9, 9, 9, 9});
  set(in.v, {4, 0, 8, 0, 0, 4, 0, 8, 9, 9, 9, 9});
  Buffer<KeyRange, 1> visible({1});
  visible.view()(0) = {0, 2};
  Buffer<float, 3> expected({1, 1, 4});
  set(expected, {1, 3, 2, 6});
  for (const auto kernel : kKernels) {
    const auto out = attention(stream, in, visible, {0.5f}, kernel);
    const bool rounds = kernel == AttentionKernel::tensor_core;  // log 3 among others
    EXPECT_TRUE(close(out.view(), expected.view(),
                      rounds ? attention_in_bf16(4, 0.5, 8) : twice(float_sum_of(2 * 4))))
        << static_cast<int>(kernel);
  }
}

TEST_F(CudaAttention, OnTensorCoresRoundsQueriesKeysAndValuesOnce) {
  const Sizes z{33, 65, 4, 2, 72};
  const Inputs in(z);
  const auto visible = ranges_of({20, kNoWindow}, z.T, z.S);
  const auto rule = rule_for(z.H);
  const cuda::Stream stream;
  const auto out = attention(stream, in, visible, rule, AttentionKernel::tensor_core);
  EXPECT_TRUE(close(out.view(), in.expected(visible.view(), rule).view(),
                    attention_in_bf16(z.H, rule.scale, 1)));
}

// `best` rounds what the stream allows to be rounded, if it pays. Nothing is rounded for one query.
TEST_F(CudaAttention, BestMatchesReference) {
  for (const Index T : {1, 7}) {
    for (const Index H : {12, 72, 300, 404}) {
      for (const auto math : {cuda::Math::float32, cuda::Math::bf16}) {
        const Sizes z{T, 33, 2, 1, H};
        const Inputs in(z);
        const auto visible = ranges_of({20, kNoWindow}, z.T, z.S);
        const auto rule = rule_for(H);
        const cuda::Stream stream(math);
        const auto out = attention(stream, in, visible, rule, AttentionKernel::best);
        const bool rounds = math == cuda::Math::bf16 && T == 7 && H <= 256;
        const auto tolerance =
            rounds ? attention_in_bf16(H, rule.scale, 1) : twice(float_sum_of(33 * H, 1));
        const auto expected = in.expected(visible.view(), rule);
        EXPECT_TRUE(close(out.view(), expected.view(), tolerance)) << z;
        EXPECT_EQ(!close(out.view(), expected.view(), twice(float_sum_of(33 * H, 1))), rounds) << z;
      }
    }
  }
}

// Ranges with keys between them that no query sees, and that nobody has written.
TEST_F(CudaAttention, ReadsNoKeyThatNoQuerySees) {
  const Sizes z{3, 100, 2, 1, 8};
  const Inputs in(z, true);
  Buffer<KeyRange, 1> visible({3});
  visible.view()(0) = {90, 91};
  visible.view()(1) = {3, 4};
  visible.view()(2) = {40, 77};
  const auto expected = in.expected(visible.view(), {0.25f});
  const cuda::Stream stream;
  for (const auto kernel : kKernels) {
    const auto out = attention(stream, in, visible, {0.25f}, kernel);
    EXPECT_TRUE(close(out.view(), expected.view(), tolerance_for(kernel, z)))
        << static_cast<int>(kernel);
  }
}

// Scores so far apart that most weights vanish, the largest in front or at the end, behind 1,024 others.
TEST_F(CudaAttention, DoesNotOverflow) {
  const Sizes z{2, 1100, 1, 1, 8};
  for (const float sign : {-1.0f, 1.0f}) {
    Inputs in(z, true);
    for (Index i = 0; i < in.q.view().count(); ++i) in.q.view().data()[i] = 4 * sign;
    for (Index s = 0; s < z.S; ++s) {
      for (Index h = 0; h < z.H; ++h) in.k.view()(s, 0, h) = static_cast<float>(s / 16);
    }
    const auto expected = in.expected({}, {1});
    const cuda::Stream stream;
    for (const auto kernel : kKernels) {
      const auto out = attention(stream, in, Buffer<KeyRange, 1>({0}), {1}, kernel);
      EXPECT_TRUE(close(out.view(), expected.view(), tolerance_for(kernel, z)))
          << static_cast<int>(kernel) << ", sign " << sign;
    }
  }
}

// q, k and v of a token side by side in one row, at odd addresses; out in part of a wider one.
TEST_F(CudaAttention, ReadsAndWritesWindowsOfWiderRows) {
  constexpr Index T = 5, N = 4, K = 2, H = 12, W = (N + 2 * K) * H + 3, V = N * H + 5;
  const auto fused = numbers({1, T, W}, 1, true);
  const auto window = [&](auto* data, Index first, Index heads) {
    return View<const float, 3>(data + 1 + first * H, {T, heads, H}, {W, H, 1});
  };
  const auto there = [](View<const float, 3> v, const float* data, const float* host) {
    return DeviceView<const float, 3>(data + (v.data() - host), v.shape(), v.stride());
  };
  const float* const host = fused.view().data();
  const auto q = window(host, 0, N), k = window(host, N, K), v = window(host, N + K, K);
  Buffer<float, 3> expected({T, N, H});
  scaled_dot_product_attention(reference, q, k, v, {}, {0.25f}, expected.view());

  const cuda::Stream stream;
  const auto fused_there = to_device(stream, fused.view());
  for (const auto kernel : kKernels) {
    auto wide = to_device(stream, Buffer<float, 2>({T, V}).view());
    const float* const device = std::as_const(fused_there).view().data();
    scaled_dot_product_attention(
        stream, there(q, device, host), there(k, device, host), there(v, device, host), {}, {0.25f},
        DeviceView<float, 3>(wide.view().data() + 1, {T, N, H}, {V, H, 1}), kernel);
    auto result = to_host(stream, wide.view());
    for (Index t = 0; t < T; ++t) {
      const View<const float, 1> row(&result.view()(t, 1), {N * H});
      EXPECT_TRUE(close(row, View<const float, 1>(&expected.view()(t, 0, 0), {N * H}),
                        tolerance_for(kernel, {T, T, N, K, H})))
          << static_cast<int>(kernel) << ", row " << t;
      EXPECT_EQ(result.view()(t, 0), 0) << "row " << t;
      for (Index i = 1 + N * H; i < V; ++i) EXPECT_EQ(result.view()(t, i), 0) << "row " << t;
    }
  }
}

// A graph is recorded once, for a cache that grows: rows beyond its end were never written.
TEST_F(CudaAttention, InAGraphSeesTheKeysThereAreWhenItRuns) {
  constexpr Index kCapacity = 70, N = 4, H = 12;
  const Inputs in({1, kCapacity, N, 1, H});
  const cuda::Stream stream;
  const auto q = to_device(stream, in.q.view());
  DeviceBuffer<float, 3> k({kCapacity, 1, H}), v({kCapacity, 1, H}), out({1, N, H});
  DeviceBuffer<KeyRange, 1> visible({1});
  Index length = 0;
  const auto grow_to = [&](KeyRange keys) {
    const auto bytes = static_cast<std::size_t>((keys.end - length) * H) * sizeof(float);
    copy_to_device(stream, k.view().row(length).data(), &in.k.view()(length, 0, 0), bytes);
    copy_to_device(stream, v.view().row(length).data(), &in.v.view()(length, 0, 0), bytes);
    copy_to_device(stream, visible.view().data(), &keys, sizeof keys);
    stream.wait();
    length = keys.end;
  };
  const auto queue = [&] {
    scaled_dot_product_attention(stream, q.view(), k.view(), v.view(), visible.view(), {0.25f},
                                 out.view());
  };
  grow_to({0, 1});
  queue();
  const cuda::Graph step(stream, queue);
  for (const KeyRange keys : {KeyRange{0, 2}, {0, 32}, {0, 33}, {5, 65}, {0, 70}}) {
    grow_to(keys);
    step.launch(stream);
    Buffer<KeyRange, 1> range({1});
    range.view()(0) = keys;
    EXPECT_TRUE(close(to_host(stream, out.view()).view(), in.expected(range.view(), {0.25f}).view(),
                      twice(float_sum_of(kCapacity * H, 1))))
        << keys.begin << " to " << keys.end;
  }
}

TEST_F(CudaAttention, OnTensorCoresReadsNoTwoRowsFromOneBank) {
  const cuda::Stream stream;
  for (const Index H : {12, 72, 128, 256}) {
    const Inputs in({9, 65, 1, 1, H});
    cuda::take_ldmatrix_conflicts();
    attention(stream, in, Buffer<KeyRange, 1>({0}), {1}, AttentionKernel::tensor_core);
    EXPECT_EQ(cuda::take_ldmatrix_conflicts(), 0) << "H = " << H;
  }
}

// A layer of SigLIP, one of Gemma's prefill, and one decoded token.
TEST_F(CudaAttention, WholeModelShapesMatchReferenceOnAGpu) {
  if (cuda::is_emulated()) GTEST_SKIP() << "whole model shapes want a GPU";
  constexpr Sizes kVision{256, 256, 16, 16, 72}, kPrefill{264, 264, 8, 1, 256},
      kToken{1, 300, 8, 1, 256}, kTokenAt896Pixels{1, 4200, 8, 1, 256};
  for (auto kernel : {AttentionKernel::block_per_query, AttentionKernel::online,
                      AttentionKernel::tensor_core, AttentionKernel::split_keys}) {
    expect_matches_reference(kernel, kVision, {kNoMask, 0}, kNoSoftCap, 0);
    expect_matches_reference(kernel, kPrefill, {264, kNoWindow}, kNoSoftCap, 0);
    expect_matches_reference(kernel, kToken, {264, kNoWindow}, 50, 0);
    expect_matches_reference(kernel, kTokenAt896Pixels, {4104, kNoWindow}, 50, 0);
  }
}

TEST_F(CudaAttention, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const auto run = [&](Sizes q, Sizes k, Sizes v, Sizes out, Index ranges,
                       AttentionKernel kernel = AttentionKernel::best) {
    DeviceBuffer<float, 3> q_there({q.T, q.N, q.H}), out_there({out.T, out.N, out.H});
    DeviceBuffer<float, 3> k_there({k.S, k.K, k.H}), v_there({v.S, v.K, v.H});
    DeviceBuffer<KeyRange, 1> visible({ranges});
    scaled_dot_product_attention(stream, q_there.view(), k_there.view(), v_there.view(),
                                 visible.view(), {1}, out_there.view(), kernel);
  };
  const Sizes right{2, 5, 4, 2, 12}, large{2, 5, 1, 1, 257}, larger{2, 5, 1, 1, 404};
  const Sizes three{2, 5, 4, 3, 12};
  EXPECT_THROW(run(right, {2, 5, 4, 2, 11}, right, right, 0), ContractError);
  EXPECT_THROW(run(right, right, {2, 6, 4, 2, 12}, right, 0), ContractError);
  EXPECT_THROW(run(right, right, {2, 5, 4, 1, 12}, right, 0), ContractError);
  EXPECT_THROW(run(right, right, right, {3, 5, 4, 2, 12}, 0), ContractError);
  EXPECT_THROW(run(right, three, three, right, 0), ContractError);
  EXPECT_THROW(run(right, right, right, right, 3), ContractError);
  EXPECT_THROW(run(right, {2, 0, 4, 2, 12}, {2, 0, 4, 2, 12}, right, 0), ContractError);
  EXPECT_THROW(run(large, large, large, large, 0, AttentionKernel::tensor_core), ContractError);
  EXPECT_THROW(run(larger, larger, larger, larger, 0, AttentionKernel::online), ContractError);

  const DeviceBuffer<float, 3> k({2, 2, 2});
  DeviceBuffer<float, 3> out({2, 2, 2});
  const DeviceView<const float, 3> apart(k.view().data(), {2, 2, 2}, {4, 1, 2});
  EXPECT_THROW(scaled_dot_product_attention(stream, apart, k.view(), k.view(), {}, {1}, out.view()),
               ContractError);
  EXPECT_THROW(scaled_dot_product_attention(stream, k.view(), k.view(), apart, {}, {1}, out.view()),
               ContractError);
}

// Slopes, and a table whose ends serve what is farther, by the kernels that know of them. The last query
// stands at the last key.
TEST_F(CudaAttention, AddsABiasByDistance) {
  const cuda::Stream stream;
  for (const Sizes z : {Sizes{1, 33, 4, 2, 12}, {3, 33, 12, 1, 12}, {17, 40, 4, 1, 8}}) {
    const Inputs in(z);
    const auto visible = ranges_of({3, kNoWindow}, z.T, z.S);
    const auto slope = random<float, 1>({z.N}, 4);
    const auto table = random<float, 2>({z.N, 9}, 5);
    const auto slope_there = to_device(stream, slope.view());
    const auto table_there = to_device(stream, table.view());
    const auto rule = rule_for(z.H);
    Buffer<float, 3> expected(in.q.view().shape());
    scaled_dot_product_attention(reference, in.q.view(), in.k.view(), in.v.view(), visible.view(),
                                 rule, expected.view(),
                                 {slope.view(), table.view(), z.S - z.T, -6});

    const auto q = to_device(stream, in.q.view()), k = to_device(stream, in.k.view()),
               v = to_device(stream, in.v.view());
    const auto visible_there = to_device(stream, visible.view());
    DeviceBuffer<float, 3> out(in.q.view().shape());
    const auto run = [&](AttentionKernel kernel) {
      scaled_dot_product_attention(stream, q.view(), k.view(), v.view(), visible_there.view(), rule,
                                   out.view(), kernel,
                                   {slope_there.view(), table_there.view(), z.S - z.T, -6});
    };
    for (const auto kernel : {AttentionKernel::best, AttentionKernel::block_per_query,
                              AttentionKernel::online, AttentionKernel::split_keys}) {
      run(kernel);
      EXPECT_TRUE(close(to_host(stream, out.view()).view(), expected.view(),
                        twice(float_sum_of(z.S * z.H, 1))))
          << z << ", kernel " << static_cast<int>(kernel);
    }
    EXPECT_THROW(run(AttentionKernel::tensor_core), ContractError);
  }
}

TEST_F(CudaAttention, ShowsMaps) {
  const Sizes z{7, 70, 4, 2, 12};
  const Inputs in(z, true);
  const auto visible = ranges_of({20, kNoWindow}, z.T, z.S);
  const auto rule = rule_for(z.H);
  Buffer<float, 3> out(in.q.view().shape()), weights({z.T, z.N, z.S});
  Buffer<float, 2> log_sum_exp({z.T, z.N});
  scaled_dot_product_attention(reference, in.q.view(), in.k.view(), in.v.view(), visible.view(),
                               rule, out.view(), {}, {weights.view(), log_sum_exp.view()});

  const cuda::Stream stream;
  const auto q = to_device(stream, in.q.view()), k = to_device(stream, in.k.view()),
             v = to_device(stream, in.v.view());
  const auto visible_there = to_device(stream, visible.view());
  DeviceBuffer<float, 3> out_there(in.q.view().shape()), weights_there(weights.view().shape());
  DeviceBuffer<float, 2> sums_there({z.T, z.N});
  const auto run = [&](AttentionKernel kernel, AttentionMaps<Space::device> maps) {
    scaled_dot_product_attention(stream, q.view(), k.view(), v.view(), visible_there.view(), rule,
                                 out_there.view(), kernel, {}, maps);
  };
  const auto tolerance = twice(float_sum_of(z.S * z.H, 1));
  for (const auto kernel : kKernels) {
    fill_bytes(stream, sums_there.view().data(), 0xff, static_cast<std::size_t>(z.T * z.N) * 4);
    run(kernel, {.log_sum_exp = sums_there.view()});
    EXPECT_TRUE(close(to_host(stream, sums_there.view()).view(), log_sum_exp.view(), tolerance))
        << static_cast<int>(kernel);
    if (kernel == AttentionKernel::block_per_query) continue;
    EXPECT_THROW(run(kernel, {.weights = weights_there.view()}), ContractError);
  }
  run(AttentionKernel::best, {.weights = weights_there.view()});
  EXPECT_TRUE(close(to_host(stream, weights_there.view()).view(), weights.view(), tolerance));
}

}  // namespace
}  // namespace paligemma
