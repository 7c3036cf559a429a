// Threads: those that an executor shares a loop among. All but the caller sleep between loops.
//
//   who waits           for what                            how long awake    then
//   a thread            the next loop                       kAwake            sleeps
//   the caller          threads that are within its loop    kAwake            sleeps
//   nobody              a thread that has not begun: the caller takes what is left itself
//
// So a machine that is busy with something else costs the share of a core that it takes, and no turns of
// waiting. With more threads than processors nobody stays awake.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "tensor/view.h"

namespace paligemma {

class Threads {
 public:
  // The calling one and count - 1 others, which are started when there is work for them.
  explicit Threads(int count);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const { return count_; }

  // Calls work(context, begin, end, thread) for stretches of `grain` indices, until all below n are done.
  // `thread` is below count(); no two of its calls overlap. The first exception ends the loop and is thrown
  // here. One caller at a time.
  using Work = void (*)(const void* context, Index begin, Index end, int thread);
  void run(Index n, Index grain, Work work, const void* context);

 private:
  static constexpr std::chrono::microseconds kAwake{500};

  // The state of a loop in one number, so that coming in, leaving and closing are one step each and none
  // needs a lock: how many threads are inside (the caller is not counted), whether more may come in, and
  // which loop it is.
  using State = std::uint32_t;
  static constexpr State kInside = (1u << 10) - 1, kOpen = 1u << 10, kOneLoop = 1u << 11;
  static State loop_of(State state) { return state / kOneLoop; }

  void start();
  void serve(int thread);
  void take_part(int thread);
  template <class Done>
  void wait_until(const Done& done);  // awake for a while, then asleep until state_ changes

  const int count_;
  const bool may_stay_awake_;
  std::vector<std::thread> others_;
  std::atomic<State> state_ = 0;
  std::atomic<bool> over_ = false;

  // Of the loop that is open, or was.
  Index n_ = 0, grain_ = 1;
  Work work_ = nullptr;
  const void* context_ = nullptr;
  std::atomic<Index> next_ = 0;
  std::mutex mutex_;  // of the failure
  std::exception_ptr failure_;
};

}  // namespace paligemma
