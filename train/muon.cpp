#include "train/muon.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/buffer.h"
#include "tensor/linear.h"

namespace paligemma {
namespace {

void transpose(View<const float, 2> from, View<float, 2> to) {
  for (Index i = 0; i < from.size(0); ++i) {
    for (Index j = 0; j < from.size(1); ++j) to(j, i) = from(i, j);
  }
}

// x, of no more rows than columns.
void iterate(View<float, 2> x) {
  const Index O = x.size(0), I = x.size(1);
  Buffer<float, 2> turned({I, O}, unwritten), a({O, O}, unwritten), b({O, O}, unwritten),
      next({O, I}, unwritten);
  for (int step = 0; step < 5; ++step) {
    linear(reference, x, Linear{View<const float, 2>(x)}, a.view());         // x x^T
    linear(reference, a.view(), Linear{std::as_const(a).view()}, b.view());  // a is symmetric
    for (Index i = 0; i < O * O; ++i) {
      float& sum = b.view().data()[i];
      sum = -4.775f * a.view().data()[i] + 2.0315f * sum;
    }
    transpose(x, turned.view());
    linear(reference, b.view(), Linear{std::as_const(turned).view()}, next.view());
    for (Index i = 0; i < O * I; ++i) {
      x.data()[i] = 3.4445f * x.data()[i] + next.view().data()[i];
    }
  }
}

}  // namespace

void orthogonalize(Reference, View<const float, 2> u, View<float, 2> x) {
  PG_CHECK(x.shape() == u.shape(), "u " + shape_text(u) + ", x " + shape_text(x));
  const Index O = u.size(0), I = u.size(1);
  const bool is_tall = O > I;
  Buffer<float, 2> wide({is_tall ? I : O, is_tall ? O : I}, unwritten);
  is_tall ? transpose(u, wide.view()) : copy(reference, u, wide.view());
  double sum_sq = 0;
  for (Index i = 0; i < O * I; ++i) sum_sq += std::pow(double{wide.view().data()[i]}, 2);
  const auto scale = static_cast<float>(1 / std::max(std::sqrt(sum_sq), 1e-7));
  for (Index i = 0; i < O * I; ++i) wide.view().data()[i] *= scale;
  iterate(wide.view());
  is_tall ? transpose(wide.view(), x) : copy(reference, std::as_const(wide).view(), x);
}

void muon(Reference, double momentum, double rate, double decay, View<const float, 2> g,
          View<float, 2> m, View<float, 2> w) {
  PG_CHECK(g.shape() == w.shape() && m.shape() == w.shape(),
           "w " + shape_text(w) + ", g " + shape_text(g) + ", m " + shape_text(m));
  const Index O = w.size(0), I = w.size(1);
  const auto old = static_cast<float>(momentum), now = static_cast<float>(1 - momentum);
  Buffer<float, 2> u({O, I}, unwritten);
  for (Index o = 0; o < O; ++o) {
    for (Index i = 0; i < I; ++i) {
      m(o, i) = old * m(o, i) + now * g(o, i);
      u.view()(o, i) = old * m(o, i) + now * g(o, i);
    }
  }
  orthogonalize(reference, std::as_const(u).view(), u.view());
  const double ratio = std::sqrt(std::max(1.0, static_cast<double>(O) / static_cast<double>(I)));
  const auto kept = static_cast<float>(1 - rate * decay), size = static_cast<float>(rate * ratio);
  for (Index o = 0; o < O; ++o) {
    for (Index i = 0; i < I; ++i) w(o, i) = kept * w(o, i) - size * u.view()(o, i);
  }
}

}  // namespace paligemma
