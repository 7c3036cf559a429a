#include "fast/tensor/linear/kernel.h"

namespace paligemma {

template <class Weight>
void linear_avx512(const LinearWork<Weight>& work) {
  multiply(work);
}

template void linear_avx512(const LinearWork<float>&);
template void linear_avx512(const LinearWork<bf16>&);
template void linear_avx512(const LinearWork<f16>&);

}  // namespace paligemma
