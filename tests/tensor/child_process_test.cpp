#include "tensor/child_process.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace paligemma {
namespace {

TEST(LastWords, AreThoseOfTheWork) {
  EXPECT_EQ(last_words([](const Say& say) {
              say("one");
              say("two");
            }),
            "two");
  EXPECT_EQ(last_words([](const Say& say) { say("one"); }), "one");
  EXPECT_EQ(last_words([](const Say&) {}), "");
}

TEST(LastWords, AreSaidByAnotherProcess) {
  EXPECT_NE(last_words([](const Say& say) { say(std::to_string(getpid())); }),
            std::to_string(getpid()));
}

TEST(LastWords, OutliveASignal) {
  for (const int number : {SIGILL, SIGSEGV, SIGFPE, SIGABRT, SIGKILL}) {
    EXPECT_EQ(last_words([=](const Say& say) {
                say("before");
                raise(number);
                say("behind");
              }),
              "before");
  }
}

TEST(LastWords, OutliveAnException) {
  EXPECT_EQ(last_words([](const Say& say) {
              say("before");
              throw std::runtime_error("in the child");
            }),
            "before");
}

TEST(LastWords, OutliveALoopWithoutAnEnd) {
  const auto forever = [](const Say& say) {
    say("before");
    for (;;) pause();
  };
  EXPECT_EQ(last_words(forever, std::chrono::milliseconds(50)), "before");
}

TEST(LastWords, AreNotForTheParentsHandlers) {
  const auto before = std::signal(SIGILL, SIG_IGN);
  EXPECT_EQ(last_words([](const Say& say) {
              say("before");
              raise(SIGILL);
              say("behind");
            }),
            "before");
  std::signal(SIGILL, before);
}

// Who collects no children of his own accord gets the words all the same.
TEST(LastWords, AreHeardWhereChildrenAreIgnored) {
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  EXPECT_EQ(last_words([](const Say& say) { say("here"); }), "here");
  std::signal(SIGCHLD, before);
}

TEST(LastWords, AreSaidHereWhereNoFileIsLeft) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  const std::string said = last_words([](const Say& say) { say(std::to_string(getpid())); });
  setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(said, std::to_string(getpid()));
}

}  // namespace
}  // namespace paligemma
