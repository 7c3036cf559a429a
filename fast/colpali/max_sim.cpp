#include "fast/colpali/max_sim.h"

#include "fast/core/kernels.h"

namespace paligemma {
namespace {

void run(const Fast& on, const MaxSimWork<float>& work) { on.kernels().max_sim.f32(on, work); }
void run(const Fast& on, const MaxSimWork<bf16>& work) { on.kernels().max_sim.bf16(on, work); }
void run(const Fast& on, const MaxSimWork<f16>& work) { on.kernels().max_sim.f16(on, work); }

}  // namespace

template <class Row>
void max_sim(const Fast& on, View<const float, 2> q, View<const Row, 2> rows,
             View<const Index, 1> first, View<float, 1> scores) {
  check_max_sim(q, rows, first, scores);
  run(on, MaxSimWork<Row>{q.data(), rows.data(), first.data(), scores.data(), q.size(0), q.size(1),
                          scores.size(0), q.stride()[0], rows.stride()[0]});
}

template void max_sim(const Fast&, View<const float, 2>, View<const float, 2>, View<const Index, 1>,
                      View<float, 1>);
template void max_sim(const Fast&, View<const float, 2>, View<const bf16, 2>, View<const Index, 1>,
                      View<float, 1>);
template void max_sim(const Fast&, View<const float, 2>, View<const f16, 2>, View<const Index, 1>,
                      View<float, 1>);

}  // namespace paligemma
