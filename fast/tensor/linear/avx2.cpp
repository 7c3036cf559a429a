#include "fast/tensor/linear/kernel.h"

namespace paligemma {

template <class Weight>
void linear_avx2(const LinearWork<Weight>& work) {
  multiply(work);
}

template void linear_avx2(const LinearWork<float>&);
template void linear_avx2(const LinearWork<bf16>&);
template void linear_avx2(const LinearWork<f16>&);

}  // namespace paligemma
