#include "fast/core/threads.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace paligemma {
namespace {

using namespace std::chrono_literals;
using Body = std::function<void(Index begin, Index end, int thread)>;

void run(Threads& threads, Index n, Index grain, const Body& body) {
  threads.run(
      n, grain,
      [](const void* context, Index begin, Index end, int thread) {
        (*static_cast<const Body*>(context))(begin, end, thread);
      },
      &body);
}

TEST(FastThreads, DoEachIndexOnce) {
  for (const int count : {1, 2, 3, 7}) {
    Threads threads(count);
    for (const Index n : {0, 1, 2, 7, 255, 1000}) {
      for (const Index grain : {1, 3, 255, 5000}) {
        std::vector<std::atomic<int>> times(static_cast<std::size_t>(n));
        run(threads, n, grain, [&](Index begin, Index end, int thread) {
          EXPECT_TRUE(0 <= thread && thread < count);
          EXPECT_LT(begin, end);
          EXPECT_LE(end, n);
          for (Index i = begin; i < end; ++i) ++times[static_cast<std::size_t>(i)];
        });
        for (const auto& t : times) ASSERT_EQ(t, 1) << "n = " << n << ", grain = " << grain;
      }
    }
  }
}

// Loops follow one another at once, and after threads have gone to sleep.
TEST(FastThreads, DoOneLoopAfterAnother) {
  Threads threads(3);
  std::atomic<Index> sum = 0;
  for (int loop = 0; loop < 2000; ++loop) {
    run(threads, 8, 1, [&](Index begin, Index, int) { sum += begin; });
    if (loop % 500 == 0) std::this_thread::sleep_for(10ms);  // they sleep
  }
  EXPECT_EQ(sum, 2000 * 28);
}

TEST(FastThreads, HaveTheWorkDoneTogether) {
  Threads threads(2);
  std::atomic<int> there = 0;
  std::atomic<bool> met = false;
  run(threads, 2, 1, [&](Index, Index, int) {
    ++there;
    for (const auto end = std::chrono::steady_clock::now() + 10s;
         there < 2 && std::chrono::steady_clock::now() < end;) {
    }
    if (there == 2) met = true;
  });
  EXPECT_TRUE(met) << "one thread did both";
}

// Each waits for all the others, once when they are new and once when they have slept; then the caller is
// the first to be done.
TEST(FastThreads, HaveANumberEachAndAreDoneWhenTheLoopIs) {
  Threads threads(3);
  for (int loop = 0; loop < 2; ++loop) {
    std::atomic<int> there = 0, done[3] = {};
    run(threads, 3, 1, [&](Index, Index, int thread) {
      ++there;
      for (const auto end = std::chrono::steady_clock::now() + 10s;
           there < 3 && std::chrono::steady_clock::now() < end;) {
      }
      if (thread != 0) std::this_thread::sleep_for(20ms);
      ++done[thread];
    });
    for (const auto& times : done) EXPECT_EQ(times, 1);
    std::this_thread::sleep_for(10ms);
  }
}

TEST(FastThreads, ThrowWhatTheWorkThrows) {
  for (const int count : {1, 2, 4}) {
    Threads threads(count);
    for (const Index bad : {0, 3, 99}) {
      EXPECT_THROW(run(threads, 100, 1,
                       [&](Index begin, Index, int) {
                         if (begin <= bad && bad < begin + 100) throw std::bad_alloc();
                       }),
                   std::bad_alloc);
      std::atomic<Index> done = 0;
      run(threads, 100, 1, [&](Index begin, Index end, int) { done += end - begin; });
      EXPECT_EQ(done, 100) << "after a failure";
    }
  }
}

TEST(FastThreads, ServeOneCallerAtATime) {
  Threads threads(2);
  EXPECT_THROW(
      run(threads, 2, 1, [&](Index, Index, int) { run(threads, 2, 1, [](Index, Index, int) {}); }),
      ContractError);
}

TEST(FastThreads, OfSeveralCallersRunSideBySide) {
  std::vector<std::thread> callers;
  std::atomic<Index> done = 0;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      Threads threads(2);
      for (int loop = 0; loop < 200; ++loop) {
        run(threads, 10, 1, [&](Index begin, Index end, int) { done += end - begin; });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(done, 3 * 200 * 10);
}

// A thread may be anywhere when it is told to end; with more of them than processors, it is.
TEST(FastThreads, EndWhereverTheyAre) {
  alarm(30);  // who waits for ever fails
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 16; ++caller) {
    callers.emplace_back([] {
      for (int round = 0; round < 600; ++round) {
        Threads threads(4);
        run(threads, 2, 1, [](Index, Index, int) {});
      }
    });
  }
  for (auto& caller : callers) caller.join();
  alarm(0);
}

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](timeval t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Neither threads without a loop nor a caller whose threads are not done turn for long.
TEST(FastThreads, SleepWhileTheyWait) {
  Threads threads(2);
  run(threads, 2, 1, [](Index, Index, int) {});
  double before = processor_seconds();
  std::this_thread::sleep_for(200ms);
  EXPECT_LT(processor_seconds() - before, 0.05) << "between loops";

  before = processor_seconds();
  run(threads, 2, 1,
      [](Index, Index, int thread) { std::this_thread::sleep_for(thread == 0 ? 5ms : 200ms); });
  EXPECT_LT(processor_seconds() - before, 0.05) << "at the end of a loop";
}

}  // namespace
}  // namespace paligemma
