#include "paligemma/answer_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "fast/paligemma/pipeline.h"
#include "tests/support/golden.h"
#include "tests/support/tiny_model.h"

static std::size_t counted_from = 0;
static std::atomic<int> counted = 0;
static void* allocated(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
  if (bytes >= counted_from) ++counted;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes > 0 ? bytes : 1) == 0) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes) { return allocated(bytes); }
void* operator new[](std::size_t bytes) { return allocated(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return std::malloc(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocated(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace paligemma {
namespace {

using namespace test;

// How often `run` asks for at least so many bytes.
template <class Run>
int allocations(std::size_t bytes, const Run& run) {
  counted_from = bytes, counted = 0;
  run();
  return counted;
}

struct Asking {
  std::string prompt;
  Index max_tokens;
};
const std::string kLong = "detect red circle ; blue square ; green triangle ; yellow star";
const Asking kAskings[] = {{kLong, 8}, {"ocr", 3}, {"", 20}, {"caption en", 1}, {kLong, 20}};

// Golden model, picture and all.
struct Asked {
  Golden golden;
  Pipeline<Reference> pipeline;
  RgbImage image;
  Pipeline<Reference>::Picture picture;

  explicit Asked(int version)
      : golden(version),
        pipeline(reference, {.model = golden.folder}),
        image(read_image(golden.folder / "picture.png")),
        picture(pipeline.encode(image.view())) {}
};

// Every number of an answer, and of the picture that it is about.
struct Taken {
  Recorder recorder;
  Reply answer;

  Taken(const Pipeline<Reference>& pipeline, const RgbImage& image, const Asking& asking) {
    const TapListener listener = std::ref(recorder);
    const auto picture = pipeline.encode(image.view(), listener);
    answer = pipeline.generate(picture, asking.prompt, {.max_tokens = asking.max_tokens}, listener);
  }
};

void expect_the_same(const Taken& got, const Taken& want) {
  EXPECT_EQ(ids_of(got.answer), ids_of(want.answer));
  ASSERT_EQ(got.recorder.taps.size(), want.recorder.taps.size());
  for (const auto& [name, tap] : want.recorder.taps) {
    EXPECT_EQ(got.recorder.taps.at(name).shape, tap.shape) << name;
    EXPECT_EQ(got.recorder.taps.at(name).numbers, tap.numbers) << name;
  }
}

// Bit for bit, whatever was asked before.
TEST(AnswerMemory, AnAnswerDoesNotShowWhatItsMemoryHeldBefore) {
  for (int version : {1, 2}) {
    const Asked asked(version);
    const RgbImage scene = scene_picture(3);
    for (std::size_t i = 0; i < std::size(kAskings); ++i) {
      const Asked fresh(version);
      SCOPED_TRACE(kAskings[i].prompt);
      const RgbImage& image = i % 2 == 0 ? asked.image : scene;
      expect_the_same(Taken(asked.pipeline, image, kAskings[i]),
                      Taken(fresh.pipeline, image, kAskings[i]));
    }
  }
}

// Of the same pipeline, or of another one that has memory of its own.
TEST(AnswerMemory, AnAnswerMayBeAskedForWithinAnother) {
  const Asked asked(1);
  const Pipeline<Reference> other = asked.pipeline.with(reference);
  const auto said = [&](const Asking& asking, const Pipeline<Reference>* within) {
    ReplyOptions options{.max_tokens = asking.max_tokens};
    if (within) {
      options.on_text = [&](std::string_view) {
        within->generate(asked.picture, "ocr", {.max_tokens = 2});
      };
    }
    return ids_of(asked.pipeline.generate(asked.picture, asking.prompt, options));
  };
  for (const Asking& asking : kAskings) {
    const auto alone = said(asking, nullptr);
    EXPECT_EQ(said(asking, &asked.pipeline), alone) << asking.prompt;
    EXPECT_EQ(said(asking, &other), alone) << asking.prompt;
  }
}

const Config& tiny() {
  static const Config config = read_config(kTinyModel);
  return config;
}

TEST(AnswerMemory, KeepsThatOfAPicture) {
  AnswerMemory<Reference> memory;
  const auto take = [&] { memory.encoder_scratch(tiny().vision); };
  EXPECT_GT(allocations(0, take), 0);
  EXPECT_EQ(allocations(0, take), 0);
}

TEST(AnswerMemory, GrowsAndStays) {
  AnswerMemory<Reference> memory;
  const auto sizes_for = [&](Index prefix, Index capacity) {
    std::unique_ptr<Session<Reference>> session;
    const int made =
        allocations(0, [&] { session = memory.take_session(tiny().text, prefix, capacity); });
    const Index rows = session->scratch.x.view().size(0);
    const Index room = session->cache.capacity(session->sequence);
    memory.give_back(std::move(session));
    return std::tuple(rows, room, made > 0);
  };
  EXPECT_EQ(sizes_for(20, 25), std::tuple(20, 25, true));
  EXPECT_EQ(sizes_for(10, 40), std::tuple(20, 40, true));
  EXPECT_EQ(sizes_for(30, 31), std::tuple(30, 40, true));
  EXPECT_EQ(sizes_for(5, 6), std::tuple(30, 40, false));
}

// Nothing that is as large as the smallest activation; a picture has eight that are as large as x.
TEST(AnswerMemory, ASecondAnswerAllocatesNoActivation) {
  const Pipeline<Fast> pipeline(Fast({.threads = 2}), {.model = kTinyModel});
  const auto image = scene_picture(0);
  const auto bytes_of = [](Index width) {
    return static_cast<std::size_t>(tiny().vision.patches() * width) * sizeof(float);
  };
  const auto encode = [&] {
    return allocations(bytes_of(tiny().vision.width), [&] { pipeline.encode(image.view()); });
  };
  const int first = encode();
  EXPECT_EQ(encode(), first - 8);

  const auto picture = pipeline.encode(image.view());
  const auto answer = [&](const Asking& asking) {
    return allocations(bytes_of(tiny().text.kv_heads * tiny().text.head_size), [&] {
      pipeline.generate(picture, asking.prompt, {.max_tokens = asking.max_tokens});
    });
  };
  const Asking longest = {kLong, 20};
  EXPECT_GT(answer(longest), 0);
  EXPECT_EQ(answer(longest), 0);
  for (const Asking& asking : kAskings) EXPECT_EQ(answer(asking), 0) << asking.prompt;
}

}  // namespace
}  // namespace paligemma
