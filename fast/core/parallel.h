// Loops that the threads of an executor share.
#pragma once

#include "fast/core/fast.h"

namespace paligemma {
namespace {

// The grain with which each thread gets one stretch of n indices, the same ones in every loop over as many: so
// rows that a thread has written are in its cache when it reads them.
inline Index even_share(const Fast& on, Index n) { return (n + on.threads() - 1) / on.threads(); }

// Calls f(i, thread) for all i below n, in any order, `grain` neighbours at a time. Unless it is `worth`
// waking the other threads, the caller does all of them.
template <class Function>
inline void for_each(const Fast& on, Index n, bool worth, const Function& f, Index grain = 1) {
  on.run(
      n, worth ? grain : n,
      [](const void* context, Index begin, Index end, int thread) {
        for (Index i = begin; i < end; ++i) (*static_cast<const Function*>(context))(i, thread);
      },
      &f);
}

}  // namespace
}  // namespace paligemma
