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
    : count_(std::clamp(count, 1, static_cast<int>(kInside))),
      may_stay_awake_(count <= usable_processors()) {}

Threads::~Threads() {
  over_ = true;
  state_ += kOneLoop;
  state_.notify_all();
  for (std::thread& thread : others_) thread.join();
}

template <class Done>
void Threads::wait_until(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + kAwake;
  while (may_stay_awake_ && !done(state_) && std::chrono::steady_clock::now() < end) {
    pause_a_little();
  }
  for (State state; !done(state = state_);) state_.wait(state);
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
  PG_CHECK((state_ & (kOpen | kInside)) == 0, "an executor serves one caller at a time");
  start();
  n_ = n, grain_ = grain, work_ = work, context_ = context;
  next_ = 0;
  state_ = (loop_of(state_) + 1) * kOneLoop | kOpen;
  state_.notify_all();
  take_part(0);

  state_ &= ~kOpen;  // who has not begun is too late
  wait_until([](State state) { return (state & kInside) == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Threads::serve(int thread) {
  State seen = 0;  // the last loop
  for (;;) {
    wait_until([&](State state) { return loop_of(state) != seen; });
    State state = state_;
    while ((state & kOpen) != 0 && !state_.compare_exchange_weak(state, state + 1)) {
    }
    seen = loop_of(state);
    if (over_) return;  // asked after `seen` is known: nothing follows the number that says so
    if ((state & kOpen) == 0) continue;
    take_part(thread);
    if (((state_ -= 1) & (kOpen | kInside)) == 0) state_.notify_all();  // the caller may sleep
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
