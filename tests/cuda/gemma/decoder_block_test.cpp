#include "cuda/gemma/decoder_block.h"

#include <deque>
#include <optional>

#include "cuda/core/graph.h"
#include "cuda/gemma/prefix_lm_mask.h"
#include "gemma/geglu.h"
#include "gemma/rms_norm.h"
#include "tensor/linear.h"
#include "tests/support/cuda_gemma.h"
#include "tests/support/cuda_test.h"
#include "tests/support/gemma.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::Math;

constexpr RmsNormRule kRule{0.01f, 1};  // an eps large enough to be seen
constexpr float kTheta = 10000;
constexpr Index kCapacity = 264;

// The largest sum of magnitudes in a product of x and the rows of `weight`: what the error of such a
// sum is measured against.
template <class Weight>
double magnitude_of(View<const float, 2> x, View<const Weight, 2> weight) {
  double largest = 0;
  for (Index o = 0; o < weight.size(0); ++o) {
    double sum = 0;
    for (Index i = 0; i < weight.size(1); ++i) sum += std::abs(x(0, i) * widen(weight(o, i)));
    largest = std::max(largest, sum);
  }
  return largest;
}

// The same numbers on the device, `skip` numbers behind a multiple of 16 bytes.
template <class T, int Rank>
class Skipped {
 public:
  Skipped(const cuda::Stream& stream, View<const T, Rank> host, Index skip)
      : shape_(host.shape()), skip_(skip), all_({host.count() + skip}) {
    cuda::copy_to_device(stream, all_.view().data() + skip, host.data(),
                         static_cast<std::size_t>(host.count()) * sizeof(T));
    stream.wait();
  }
  DeviceView<const T, Rank> view() const { return {all_.view().data() + skip_, shape_}; }

 private:
  typename DeviceView<T, Rank>::Shape shape_;
  Index skip_;
  cuda::DeviceBuffer<T, 1> all_;
};

cuda::DeviceBuffer<Index, 1> position_there(const cuda::Stream& stream, Index position) {
  return to_device(stream, View<const Index, 1>(&position, {1}));
}

// ---- norm_qkv_rope_append ---------------------------------------------------------------------------

struct Size {
  Index D, N, K, H;
};

// A token, the weights, a cache that holds something everywhere, and what should become of it.
template <class Weight>
struct QkvCase {
  const Buffer<float, 2> x;
  const Buffer<Weight, 1> scale;
  const Buffer<Weight, 2> wq, wk, wv;
  const Buffer<float, 3> keys, values;
  Buffer<float, 2> q;
  Buffer<float, 3> keys_after, values_after;
  Tolerance tolerance{0};

  QkvCase(Size s, Index position, Index capacity = kCapacity)
      : x(random<float, 2>({1, s.D}, 1)),
        scale(random<Weight, 1>({s.D}, 2)),
        wq(random<Weight, 2>({s.N * s.H, s.D}, 3)),
        wk(random<Weight, 2>({s.K * s.H, s.D}, 4)),
        wv(random<Weight, 2>({s.K * s.H, s.D}, 5)),
        keys(random<float, 3>({capacity, s.K, s.H}, 6)),
        values(random<float, 3>({capacity, s.K, s.H}, 7)),
        q({1, s.N * s.H}),
        keys_after(random<float, 3>({capacity, s.K, s.H}, 6)),
        values_after(random<float, 3>({capacity, s.K, s.H}, 7)) {
    Buffer<float, 2> normed({1, s.D}), k({1, s.K * s.H}), v({1, s.K * s.H});
    rms_norm(reference, x.view(), scale.view(), kRule, normed.view());
    linear(reference, normed.view(), Linear{wq.view()}, q.view());
    linear(reference, normed.view(), Linear{wk.view()}, k.view());
    linear(reference, normed.view(), Linear{wv.view()}, v.view());
    rope(reference, position, kTheta, q.view().template reshaped<3>({1, s.N, s.H}));
    rope(reference, position, kTheta, k.view().template reshaped<3>({1, s.K, s.H}));
    if (0 <= position && position < capacity) {
      kv_cache_append(reference, k.view().template reshaped<3>({1, s.K, s.H}), position,
                      keys_after.view());
      kv_cache_append(reference, v.view().template reshaped<3>({1, s.K, s.H}), position,
                      values_after.view());
    }
    const View<const float, 2> row = normed.view();
    const double magnitude =
        std::max({magnitude_of<Weight>(row, wq.view()), magnitude_of<Weight>(row, wk.view()),
                  magnitude_of<Weight>(row, wv.view())});
    // RoPE adds two sums.
    tolerance = twice(float_sum_of(s.D, 2 * magnitude));
  }
};

// How many numbers behind a multiple of 16 bytes each view begins.
struct Skips {
  Index x = 0, scale = 0, q = 0, k = 0, v = 0;
};

template <class Weight>
class CudaDecoderBlockOf : public CudaTest {
 protected:
  static void expect_qkv(Size s, Index position, Skips skip = {}) {
    SCOPED_TRACE("D = " + std::to_string(s.D) + ", N = " + std::to_string(s.N) +
                 ", K = " + std::to_string(s.K) + ", H = " + std::to_string(s.H) + ", position " +
                 std::to_string(position));
    const QkvCase<Weight> c(s, position);
    const cuda::Stream stream;
    const Skipped<float, 2> x(stream, c.x.view(), skip.x);
    const Skipped<Weight, 1> scale(stream, c.scale.view(), skip.scale);
    const Skipped<Weight, 2> wq(stream, c.wq.view(), skip.q), wk(stream, c.wk.view(), skip.k),
        wv(stream, c.wv.view(), skip.v);
    const auto there = position_there(stream, position);
    cuda::DeviceBuffer<float, 2> q({1, s.N * s.H});
    auto keys = to_device(stream, c.keys.view()), values = to_device(stream, c.values.view());
    norm_qkv_rope_append(stream, x.view(), scale.view(), kRule, wq.view(), wk.view(), wv.view(),
                         kTheta, there.view(), q.view(), keys.view(), values.view());
    EXPECT_TRUE(close(to_host(stream, q.view()).view(), c.q.view(), c.tolerance));
    EXPECT_TRUE(close(to_host(stream, keys.view()).view(), c.keys_after.view(), c.tolerance));
    EXPECT_TRUE(close(to_host(stream, values.view()).view(), c.values_after.view(), c.tolerance));
  }

  static void expect_gate_up(Index D, Index F, GeluForm form, Skips skip = {}) {
    SCOPED_TRACE("D = " + std::to_string(D) + ", F = " + std::to_string(F));
    const auto x = random<float, 2>({1, D}, 1);
    const auto scale = random<Weight, 1>({D}, 2);
    const auto gate = random<Weight, 2>({F, D}, 3), up = random<Weight, 2>({F, D}, 4);
    Buffer<float, 2> normed({1, D}), g({1, F}), u({1, F});
    rms_norm(reference, x.view(), scale.view(), kRule, normed.view());
    linear(reference, normed.view(), Linear{gate.view()}, g.view());
    linear(reference, normed.view(), Linear{up.view()}, u.view());
    geglu(reference, form, g.view(), u.view(), g.view());
    // A GELU changes at most 1.13 times as much as what it is of, and is no larger: of two factors of
    // at most `magnitude`, each off by a part of it, the product is off by 2.13 times that.
    const View<const float, 2> row = normed.view();
    const double magnitude =
        std::max(magnitude_of<Weight>(row, gate.view()), magnitude_of<Weight>(row, up.view()));
    const Tolerance tolerance = twice(float_sum_of(D, 2.13 * magnitude * magnitude));

    const cuda::Stream stream;
    const Skipped<float, 2> x_there(stream, x.view(), skip.x);
    const Skipped<Weight, 1> scale_there(stream, scale.view(), skip.scale);
    const Skipped<Weight, 2> gate_there(stream, gate.view(), skip.q),
        up_there(stream, up.view(), skip.k);
    cuda::DeviceBuffer<float, 2> y({1, F});
    norm_gate_up_geglu(stream, x_there.view(), scale_there.view(), kRule, gate_there.view(),
                       up_there.view(), form, y.view());
    EXPECT_TRUE(close(to_host(stream, y.view()).view(), g.view(), tolerance));
  }
};

using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaDecoderBlockOf, Weights);

constexpr Size kSizes[] = {{8, 4, 1, 2}, {40, 8, 4, 12}, {257, 4, 1, 12}, {7, 8, 4, 2}};

TYPED_TEST(CudaDecoderBlockOf, QkvMatchesTheReferencesOneAfterAnother) {
  for (Size s : kSizes)
    for (Index position : {0, 1, 7, 263}) TestFixture::expect_qkv(s, position);
}

TYPED_TEST(CudaDecoderBlockOf, QkvMatchesInEveryOrder) {
  in_every_order([] {
    for (Size s : kSizes) TestFixture::expect_qkv(s, 7);
  });
}

// The model's width, and its head size.
TYPED_TEST(CudaDecoderBlockOf, QkvMatchesAtTheModelsSizes) {
  for (Size s : {Size{2048, 4, 1, 2}, {2304, 8, 4, 2}, {8, 4, 1, 256}})
    for (Index position : {1, 263}) TestFixture::expect_qkv(s, position);
}

// Emulated blocks are few (cuda/core/device.h), and their warps have several pairs one behind the other.
TYPED_TEST(CudaDecoderBlockOf, QkvMatchesWithMoreRowsThanWarps) {
  in_every_order([] { TestFixture::expect_qkv({8, 9, 3, 22}, 7); });  // 165 pairs, 64 warps
}

TYPED_TEST(CudaDecoderBlockOf, QkvTakesWhatIsNotAligned) {
  for (Skips skip : {Skips{.x = 1}, {.scale = 1}, {.q = 1}, {.k = 1}, {.v = 1}})
    TestFixture::expect_qkv({8, 4, 1, 2}, 7, skip);
}

// It is not the host that knows the position, so that nobody can refuse it.
TYPED_TEST(CudaDecoderBlockOf, APositionOutsideOfTheCacheIsNotWritten) {
  for (Index position : {Index{-1}, kCapacity, kCapacity + 1000000})
    TestFixture::expect_qkv({8, 4, 2, 2}, position);
}

// ---- norm_gate_up_geglu -----------------------------------------------------------------------------

TYPED_TEST(CudaDecoderBlockOf, GateUpMatchesTheReferencesOneAfterAnother) {
  for (GeluForm form : {GeluForm::tanh, GeluForm::exact})
    for (Index D : {7, 8, 40, 257})
      for (Index F : {1, 7, 17}) TestFixture::expect_gate_up(D, F, form);
}

TYPED_TEST(CudaDecoderBlockOf, GateUpMatchesInEveryOrder) {
  in_every_order([] {
    for (Index D : {40, 257}) TestFixture::expect_gate_up(D, 17, GeluForm::tanh);
  });
}

TYPED_TEST(CudaDecoderBlockOf, GateUpMatchesAtTheModelsWidths) {
  for (Index D : {2048, 2304}) TestFixture::expect_gate_up(D, 33, GeluForm::tanh);
}

TYPED_TEST(CudaDecoderBlockOf, GateUpMatchesWithMoreRowsThanWarps) {
  in_every_order([] { TestFixture::expect_gate_up(8, 165, GeluForm::tanh); });  // 64 warps
}

TYPED_TEST(CudaDecoderBlockOf, GateUpTakesWhatIsNotAligned) {
  for (Skips skip : {Skips{.x = 1}, {.scale = 1}, {.q = 1}, {.k = 1}})
    TestFixture::expect_gate_up(8, 7, GeluForm::tanh, skip);
}

// ---- the block --------------------------------------------------------------------------------------

enum class Way { each_time, recorded };

// A prefix of five tokens by the reference, whose cache is copied; then four tokens, one by one.
constexpr Index kPrefix = 5, kTokens = 4, T = kPrefix + kTokens;

template <class Weight>
void expect_decodes(const gemma::DecoderShape& shape, Index layer, Math math, Way way) {
  const RandomDecoder<Weight> decoder(shape);
  const auto& w = decoder.weights.blocks[0];
  const auto x = random<float, 2>({T, shape.width}, 1);
  const auto in_double = decoder_block_again(w, shape, layer, kPrefix, table_of<double>(x.view()));
  const auto in_float = decoder_block_again(w, shape, layer, kPrefix, table_of<float>(x.view()));
  const Tolerance tolerance = twice(tolerance_of(in_float.plus_mlp, in_double.plus_mlp));

  Workspace space(shape, T);
  auto& s = space.scratch;
  copy(reference, x.view().rows(0, kPrefix), s.x.view().rows(0, kPrefix));
  decoder_block(reference, w, shape, layer, space.tokens(0, kPrefix, kPrefix), s, space.cache,
                NoTap());

  const cuda::Stream stream(math);
  WeightsThere<Weight> weights(stream);
  const auto w_there = weights.block(w);
  gemma::DecoderScratch<cuda::Stream> s_there(shape, 2);
  KvCache<cuda::Stream> cache_there(shape.layers, shape.kv_heads, shape.head_size);
  const SequenceId id = space.sequence, id_there = cache_there.open(space.cache.capacity(id));
  const auto fill = [&](View<const float, 3> host, DeviceView<float, 3> there) {
    cuda::copy_to_device(stream, there.data(), host.data(),
                         static_cast<std::size_t>(host.rows(0, kPrefix).count()) * sizeof(float));
  };
  fill(space.cache.keys(id, layer), cache_there.keys(id_there, layer));
  fill(space.cache.values(id, layer), cache_there.values(id_there, layer));

  cuda::DeviceBuffer<Index, 1> position({1});
  cuda::DeviceBuffer<KeyRange, 1> visible({1});
  const auto queue = [&] {
    prefix_lm_mask(stream, position.view(), kPrefix, shape.window[layer], visible.view());
    decode_block(stream, w_there, shape, layer, {id_there, position.view(), visible.view()},
                 s_there, cache_there);
  };
  std::optional<cuda::Graph> graph;
  for (Index t = kPrefix; t < T; ++t) {
    copy(reference, x.view().rows(t, t + 1), s.x.view().rows(0, 1));
    decoder_block(reference, w, shape, layer, space.tokens(t, 1, kPrefix), s, space.cache, NoTap());

    cuda::copy_to_device(stream, position.view().data(), &t, sizeof t);
    cuda::copy_to_device(stream, s_there.x.view().data(), &x.view()(t, 0),
                         static_cast<std::size_t>(shape.width) * sizeof(float));
    if (way == Way::recorded && t > kPrefix) {
      if (!graph) graph.emplace(stream, queue);
      graph->launch(stream);
    } else {
      queue();
    }
    const auto y = to_host(stream, s_there.x.view().rows(0, 1));
    EXPECT_TRUE(close(y.view(), s.x.view().rows(0, 1), tolerance))
        << "layer " << layer << ", token " << t;
  }
}

template <class Weight>
void expect_decodes_in_all_layers(const gemma::DecoderShape& shape) {
  for (Index layer = 0; layer < shape.layers; ++layer)
    expect_decodes<Weight>(shape, layer, Math::bf16, Way::each_time);
}

TYPED_TEST(CudaDecoderBlockOf, DecodesGemma1AsTheReferenceDoes) {
  expect_decodes_in_all_layers<TypeParam>(small_gemma1());
}

// Layer 0 sees four keys, layer 1 all, layer 2 three.
TYPED_TEST(CudaDecoderBlockOf, DecodesGemma2AsTheReferenceDoes) {
  expect_decodes_in_all_layers<TypeParam>(small_gemma2());
}

TYPED_TEST(CudaDecoderBlockOf, DecodesWithoutAnOffsetOfTheNorms) {
  auto shape = small_gemma2();
  shape.norm_offset = 0;
  expect_decodes<TypeParam>(shape, 0, Math::bf16, Way::each_time);
}

TYPED_TEST(CudaDecoderBlockOf, IsRecordedOnceForAllTokens) {
  expect_decodes<TypeParam>(small_gemma1(), 0, Math::float32, Way::recorded);
  expect_decodes<TypeParam>(small_gemma2(), 0, Math::float32, Way::recorded);
  expect_decodes<TypeParam>(small_gemma2(), 1, Math::bf16, Way::recorded);
}

// Rows of whole packs, as the models have them.
TYPED_TEST(CudaDecoderBlockOf, DecodesWithAlignedRows) {
  auto shape = small_gemma2();
  shape.width = 24;
  shape.mlp_width = 40;
  shape.head_size = 8;
  in_every_order([&] { expect_decodes<TypeParam>(shape, 0, Math::bf16, Way::recorded); });
}

// ---- contracts --------------------------------------------------------------------------------------

class CudaDecoderBlock : public CudaTest {};

TEST_F(CudaDecoderBlock, RejectsShapesThatDoNotFit) {
  const cuda::Stream stream;
  struct Shapes {
    std::array<Index, 2> x = {1, 8};
    Index scale = 8;
    std::array<Index, 2> wq = {16, 8}, wk = {8, 8}, wv = {8, 8};
    Index positions = 1;
    std::array<Index, 2> q = {1, 16};
    std::array<Index, 3> keys = {5, 2, 4}, values = {5, 2, 4};
  };
  const auto try_it = [&](const Shapes& s) {
    const cuda::DeviceBuffer<float, 2> x(s.x), wq(s.wq), wk(s.wk), wv(s.wv);
    const cuda::DeviceBuffer<float, 1> scale({s.scale});
    const cuda::DeviceBuffer<Index, 1> position({s.positions});
    cuda::DeviceBuffer<float, 2> q(s.q);
    cuda::DeviceBuffer<float, 3> keys(s.keys), values(s.values);
    norm_qkv_rope_append(stream, x.view(), scale.view(), kRule, wq.view(), wk.view(), wv.view(),
                         kTheta, position.view(), q.view(), keys.view(), values.view());
  };
  EXPECT_THROW(try_it({.x = {2, 8}}), ContractError);
  EXPECT_THROW(try_it({.scale = 7}), ContractError);
  EXPECT_THROW(try_it({.wq = {16, 7}}), ContractError);
  EXPECT_THROW(try_it({.wq = {15, 8}}), ContractError);
  EXPECT_THROW(try_it({.wk = {4, 8}}), ContractError);
  EXPECT_THROW(try_it({.wv = {8, 7}}), ContractError);
  EXPECT_THROW(try_it({.positions = 2}), ContractError);
  EXPECT_THROW(try_it({.q = {1, 12}}), ContractError);
  EXPECT_THROW(try_it({.values = {4, 2, 4}}), ContractError);
  EXPECT_THROW(try_it({.wq = {15, 8},
                       .wk = {6, 8},
                       .wv = {6, 8},
                       .q = {1, 15},
                       .keys = {5, 2, 3},
                       .values = {5, 2, 3}}),
               ContractError);
}

TEST_F(CudaDecoderBlock, RejectsGatesThatDoNotFit) {
  const cuda::Stream stream;
  const auto try_it = [&](std::array<Index, 2> x_shape, Index gains,
                          std::array<Index, 2> gate_shape, std::array<Index, 2> up_shape,
                          std::array<Index, 2> y_shape) {
    const cuda::DeviceBuffer<float, 2> x(x_shape), gate(gate_shape), up(up_shape);
    const cuda::DeviceBuffer<float, 1> scale({gains});
    cuda::DeviceBuffer<float, 2> y(y_shape);
    norm_gate_up_geglu(stream, x.view(), scale.view(), kRule, gate.view(), up.view(),
                       GeluForm::tanh, y.view());
  };
  EXPECT_THROW(try_it({2, 8}, 8, {3, 8}, {3, 8}, {1, 3}), ContractError);
  EXPECT_THROW(try_it({1, 8}, 7, {3, 8}, {3, 8}, {1, 3}), ContractError);
  EXPECT_THROW(try_it({1, 8}, 8, {3, 7}, {3, 7}, {1, 3}), ContractError);
  EXPECT_THROW(try_it({1, 8}, 8, {3, 8}, {4, 8}, {1, 3}), ContractError);
  EXPECT_THROW(try_it({1, 8}, 8, {3, 8}, {3, 8}, {1, 4}), ContractError);
}

}  // namespace
}  // namespace paligemma
