// docs/train/README.md, "One step, by hand": a model of two words, of two numbers each.
#include <utility>

#include "gemma/rms_norm.h"
#include "gemma/token_embedding.h"
#include "tensor/linear.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "train/cross_entropy.h"
#include "train/sgd.h"

namespace paligemma {
namespace {

using namespace test;

// The page has four digits.
constexpr Tolerance kDigits{0, 0.5e-4};

struct TwoWords {
  Buffer<float, 2> table = rows_of({{1.4f, 0.2f}, {0, 0}}), head = rows_of({{1, 0}, {0, 1}});
  Buffer<float, 1> scale{{2}};
  Buffer<float, 2> x{{1, 2}}, n{{1, 2}}, logits{{1, 2}}, dlogits{{1, 2}};

  float loss() {
    const TokenId a = 0, b = 1;
    const float one = 1;
    Buffer<float, 1> losses({1});
    token_embedding(reference, {&a, {1}}, std::as_const(table).view(), 1.0f, x.view());
    rms_norm(reference, x.view(), std::as_const(scale).view(), RmsNormRule{0, 1}, n.view());
    linear(reference, n.view(), Linear{std::as_const(head).view()}, logits.view());
    cross_entropy(reference, logits.view(), {&b, {1}}, {&one, {1}}, {}, losses.view(),
                  dlogits.view());
    return losses.view()(0);
  }
};

TEST(ByHand, OneStepOfTwoWords) {
  TwoWords model;
  EXPECT_NEAR(model.loss(), 1.4633, 0.5e-4);
  EXPECT_TRUE(close(model.n.view(), rows_of({{1.4f, 0.2f}}).view(), kDigits));
  EXPECT_TRUE(close(model.logits.view(), rows_of({{1.4f, 0.2f}}).view(), kDigits));
  EXPECT_TRUE(close(model.dlogits.view(), rows_of({{0.7685f, -0.7685f}}).view(), kDigits));

  Buffer<float, 2> dhead({2, 2}), dn({1, 2}), dx({1, 2}), dtable({2, 2});
  linear_backward(reference, model.n.view(), Linear{std::as_const(model.head).view()},
                  model.dlogits.view(), dn.view(), {dhead.view()});
  EXPECT_TRUE(
      close(dhead.view(), rows_of({{1.0759f, 0.1537f}, {-1.0759f, -0.1537f}}).view(), kDigits));
  EXPECT_TRUE(close(dn.view(), rows_of({{0.7685f, -0.7685f}}).view(), kDigits));
  rms_norm_backward(reference, model.x.view(), std::as_const(model.scale).view(), RmsNormRule{0, 1},
                    dn.view(), dx.view(), {});
  EXPECT_TRUE(close(dx.view(), rows_of({{0.1230f, -0.8607f}}).view(), kDigits));
  const TokenId a = 0;
  token_embedding_backward(reference, {&a, {1}}, 1.0f, dx.view(), dtable.view());

  Buffer<float, 2> m({2, 2}), other_m({2, 2});
  sgd(reference, 0, 0.5, 0, dhead.view(), m.view(), model.head.view());
  sgd(reference, 0, 0.5, 0, dtable.view(), other_m.view(), model.table.view());
  EXPECT_TRUE(
      close(model.head.view(), rows_of({{0.4620f, -0.0769f}, {0.5380f, 1.0769f}}).view(), kDigits));
  EXPECT_TRUE(close(model.table.view().rows(0, 1), rows_of({{1.3385f, 0.6304f}}).view(), kDigits));
  EXPECT_NEAR(model.loss(), 0.3735, 0.5e-4);
  EXPECT_TRUE(close(model.logits.view(), rows_of({{0.5448f, 1.3371f}}).view(), kDigits));
}

}  // namespace
}  // namespace paligemma
