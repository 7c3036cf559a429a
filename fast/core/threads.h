// Threads: an executor's, which share its loops. All but the caller sleep between loops.
//
//   who waits           for what                            how long awake    then
//   a thread            the next loop                       kAwake            sleeps
//   the caller          threads that are within its loop    kAwake            sleeps
//   nobody              a thread that has not begun: the caller does its share itself
//
// So other work on the machine costs only the share of the cores that it takes. With more threads than
// processors nobody stays awake.
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

  // Calls work(context, begin, end, thread) for `grain` indices at a time, until all below n are done.
  // `thread` is below count(), and calls with the same one do not overlap. An exception ends the loop and is
  // thrown here. One caller at a time.
  using Work = void (*)(const void* context, Index begin, Index end, int thread);
  void run(Index n, Index grain, Work work, const void* context);

 private:
  static constexpr std::chrono::microseconds kAwake{1500};

  // The state of a loop is one number, so that entering, leaving and closing are one atomic step each: how
  // many threads are inside (without the caller), whether more may enter, and which loop it is.
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
