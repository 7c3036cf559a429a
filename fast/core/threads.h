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
#include <condition_variable>
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
  static constexpr std::chrono::microseconds kAwake{50};

  void start();
  void serve(int thread);
  void take_part(int thread);
  template <class Condition>
  void stay_awake_until(const Condition& condition) const;

  const int count_;
  const bool may_stay_awake_;
  std::vector<std::thread> others_;

  // The loop. Whoever takes part in it has come in while it was open.
  Index n_ = 0, grain_ = 1;
  Work work_ = nullptr;
  const void* context_ = nullptr;
  std::atomic<Index> next_ = 0;
  std::exception_ptr failure_;

  std::mutex mutex_;  // of all below, which a thread that stays awake reads without
  std::condition_variable begins_, ends_;
  std::atomic<unsigned> loops_ = 0;  // so far
  std::atomic<int> inside_ = 0;      // threads, without the caller
  bool open_ = false, over_ = false;
};

}  // namespace paligemma
