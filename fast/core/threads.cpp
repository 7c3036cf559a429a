#include "fast/core/threads.h"

#include <algorithm>
#include <utility>

#include "fast/core/processors.h"

namespace paligemma {
namespace {

void pause_a_little() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Threads::Threads(int count)
    : count_(std::max(count, 1)), may_stay_awake_(count <= usable_processors()) {}

Threads::~Threads() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    ++loops_;
  }
  begins_.notify_all();
  for (std::thread& thread : others_) thread.join();
}

template <class Condition>
void Threads::stay_awake_until(const Condition& condition) const {
  if (!may_stay_awake_) return;
  const auto end = std::chrono::steady_clock::now() + kAwake;
  while (!condition() && std::chrono::steady_clock::now() < end) pause_a_little();
}

void Threads::start() {
  while (static_cast<int>(others_.size()) < count_ - 1) {
    const int thread = static_cast<int>(others_.size()) + 1;
    others_.emplace_back([this, thread] { serve(thread); });
  }
}

void Threads::run(Index n, Index grain, Work work, const void* context) {
  if (count_ == 1 || n <= grain) {
    if (n > 0) work(context, 0, n, 0);
    return;
  }
  start();
  {
    const std::lock_guard lock(mutex_);
    PG_CHECK(!open_, "an executor serves one caller at a time");
    n_ = n, grain_ = grain, work_ = work, context_ = context;
    next_ = 0;
    open_ = true;
    ++loops_;
  }
  begins_.notify_all();
  take_part(0);

  std::unique_lock lock(mutex_);
  open_ = false;  // who has not begun is too late
  lock.unlock();
  stay_awake_until([&] { return inside_ == 0; });
  lock.lock();
  ends_.wait(lock, [&] { return inside_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Threads::serve(int thread) {
  unsigned seen = 0;
  std::unique_lock lock(mutex_);
  while (!over_) {
    if (open_ && loops_ != seen) {
      ++inside_;
      lock.unlock();
      take_part(thread);
      lock.lock();
      if (--inside_ == 0 && !open_) ends_.notify_one();
    }
    seen = loops_;
    lock.unlock();
    stay_awake_until([&] { return loops_ != seen; });
    lock.lock();
    begins_.wait(lock, [&] { return loops_ != seen; });
  }
}

void Threads::take_part(int thread) {
  try {
    for (Index begin; (begin = next_.fetch_add(grain_)) < n_;) {
      work_(context_, begin, std::min(begin + grain_, n_), thread);
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    next_ = n_;
  }
}

}  // namespace paligemma
