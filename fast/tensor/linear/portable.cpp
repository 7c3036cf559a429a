#include "fast/tensor/linear/kernel.h"

namespace paligemma {

template <class Weight>
void linear_portable(const LinearWork<Weight>& work) {
  multiply(work);
}

template void linear_portable(const LinearWork<float>&);
template void linear_portable(const LinearWork<bf16>&);
template void linear_portable(const LinearWork<f16>&);

}  // namespace paligemma
