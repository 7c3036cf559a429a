// The installed library, as a program outside sees it: of ours, this includes its two headers and what starts
// the program `paligemma`, whose answers are compared.
#include <gtest/gtest.h>
#include <omp.h>
#include <paligemma/engine.h>
#include <paligemma/errors.h>
#include <pthread.h>
#include <sys/resource.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#include <stb_image.h>

#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::string kModel = source_dir() + "/models/tiny";
const std::string kScene = source_dir() + "/examples/pictures/scene.png";

// As the program has it in tests.
Engine open_tiny() { return Engine::open(kModel, {.device = "cpu", .threads = 1}); }

std::vector<int> ids_of(const Answer& answer) {
  std::vector<int> ids;
  for (const Token& token : answer.tokens) ids.push_back(token.id);
  return ids;
}

json program_says(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--image", kScene, "--json"});
  const Ran ran = run_program(arguments);
  EXPECT_EQ(ran.exit_code, 0) << ran;
  return json::parse(ran.out);
}

std::vector<std::uint8_t> grey_pixels(const std::string& png_base64) {
  std::string png;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : png_base64) {
    const auto digit =
        std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
            .find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count >= 8) png += static_cast<char>(bits >> (count -= 8) & 255);
  }
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&std::free)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(png.data()),
                            static_cast<int>(png.size()), &width, &height, &channels, 1),
      &std::free);
  return {pixels.get(), pixels.get() + width * height};
}

void expect_same(const Answer& answer, const json& program) {
  EXPECT_EQ(answer.text, program["text"]);
  EXPECT_EQ(answer.finish_reason == FinishReason::eos ? "eos" : "length", program["finish_reason"]);
  ASSERT_EQ(answer.tokens.size(), program["tokens"].size());
  for (std::size_t i = 0; i < answer.tokens.size(); ++i) {
    const json& token = program["tokens"][i];
    EXPECT_EQ(answer.tokens[i].id, token["id"]);
    EXPECT_EQ(answer.tokens[i].piece, token["piece"]);
    EXPECT_NEAR(answer.tokens[i].log_probability, token["logprob"], 1e-6);  // its last digit
  }
  ASSERT_EQ(answer.objects.size(), program["objects"].size());
  for (std::size_t i = 0; i < answer.objects.size(); ++i) {
    const Object& object = answer.objects[i];
    const json& wanted = program["objects"][i];
    EXPECT_EQ(object.name, wanted["label"]);
    EXPECT_EQ(json({object.x_min, object.y_min, object.x_max, object.y_max}),
              wanted["box_xyxy_px"]);
    EXPECT_EQ(object.mask.empty(), wanted["mask_png_base64"].is_null());
    if (object.mask.empty()) continue;
    EXPECT_EQ(object.mask, grey_pixels(wanted["mask_png_base64"]));
  }
}

TEST(Engine, AnswersAsTheProgramDoes) {
  Engine engine = open_tiny();
  EXPECT_EQ(engine.device(), "cpu");
  const Picture scene = engine.look_at(kScene);
  std::size_t objects = 0, masks = 0;
  for (const char* prompt : {"caption en", "answer en what color is the square?",
                             "detect red circle ; blue square", "segment red circle", "ocr"}) {
    SCOPED_TRACE(prompt);
    const Answer answer = engine.answer(scene, prompt);
    expect_same(answer, program_says({"-p", prompt}));
    for (const Object& object : answer.objects) ++objects, masks += !object.mask.empty();
  }
  EXPECT_EQ(objects, 3u);
  EXPECT_EQ(masks, 1u);
}

// Each of them changes the answer.
TEST(Engine, OptionsMeanWhatTheProgramsFlagsMean) {
  Engine engine = Engine::open(kModel, {.device = "cpu", .threads = 1, .dtype = "int8"});
  const std::pair<AnswerOptions, std::vector<std::string>> all[] = {
      {{}, {}},
      {{.temperature = 3, .seed = 7}, {"--temperature", "3", "-s", "7"}},
      {{.temperature = 3, .seed = 8}, {"--temperature", "3", "-s", "8"}},
      {{.temperature = 3, .top_k = 3, .seed = 7},
       {"--temperature", "3", "--top-k", "3", "-s", "7"}},
      {{.temperature = 3, .top_p = 0.7f, .seed = 7},
       {"--temperature", "3", "--top-p", "0.7", "-s", "7"}}};
  std::set<std::vector<int>> answers;
  for (auto [options, flags] : all) {
    options.max_tokens = 9;
    flags.insert(flags.end(), {"-p", "caption en", "--dtype", "int8", "-n", "9"});
    const Answer answer = engine.answer(kScene, "caption en", options);
    expect_same(answer, program_says(flags));
    answers.insert(ids_of(answer));
  }
  EXPECT_EQ(answers.size(), std::size(all));
}

TEST(Engine, TextComesAsItIsMade) {
  Engine engine = open_tiny();
  std::vector<std::string> stretches;
  const auto listen = [&](std::string_view text) { stretches.emplace_back(text); };
  const Answer answer = engine.answer(kScene, "caption en", {.on_text = listen});
  std::string text;
  for (const std::string& stretch : stretches) text += stretch;
  EXPECT_EQ(text, answer.text);
  EXPECT_GT(stretches.size(), 5u);

  const auto stop = [](std::string_view) { throw std::domain_error("enough"); };
  EXPECT_THROW(engine.answer(kScene, "caption en", {.on_text = stop}), std::domain_error);
  EXPECT_EQ(engine.answer(kScene, "caption en").text, text);
}

TEST(Engine, APictureMayLieInTheCallersMemory) {
  TemporaryFolder folder;
  std::vector<std::uint8_t> pixels(3 * 45 * 37);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * i / 7);
  std::ofstream(folder / "picture.ppm", std::ios::binary)
      << "P6 45 37 255\n"
      << std::string(pixels.begin(), pixels.end());
  Engine engine = open_tiny();
  const Answer there = engine.answer(folder / "picture.ppm", "caption en");
  const Answer here = engine.answer(Image{45, 37, pixels}, "caption en");
  EXPECT_EQ(here.text, there.text);
  EXPECT_EQ(here.tokens[0].log_probability, there.tokens[0].log_probability);
  EXPECT_EQ(engine.answer(Image{45, 37, pixels}, "caption en", {.max_tokens = 1}).finish_reason,
            FinishReason::length);
  for (const Image& image :
       {Image{}, Image{0, 37, {}}, Image{45, 36, pixels}, Image{44, 37, pixels}, Image{37, 45, {}},
        Image{-45, -37, pixels}, Image{0x7fffffff, 0x7fffffff, pixels}}) {
    EXPECT_THROW(engine.look_at(image), ImageError);
  }
}

TEST(Engine, EmbedsAsTheProgramDoes) {
  const auto program_says = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"embed", kScene});
    const Ran ran = run_program(arguments);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    return json::parse(ran.out)["embedding"];
  };
  Engine engine = open_tiny();
  const Embedding mean = engine.embed(kScene);
  EXPECT_EQ(mean.rows, 1);
  EXPECT_EQ(mean.numbers, program_says({}).get<std::vector<float>>());
  const Embedding first =
      engine.embed(kScene, {.pool = "first", .projected = true, .unit_length = true});
  EXPECT_EQ(
      first.numbers,
      program_says({"--pool", "first", "--projected", "--normalize"}).get<std::vector<float>>());
  const Embedding rows = engine.embed(kScene, {.pool = "none"});
  EXPECT_EQ(rows.rows, 64);
  EXPECT_EQ(rows.numbers.size(), static_cast<std::size_t>(rows.rows * rows.width));
  EXPECT_THROW(engine.embed(kScene, {.pool = "attention"}), ModelFileError);
  EXPECT_THROW(engine.embed(kScene, {.pool = "max"}), std::invalid_argument);
  EXPECT_THROW(engine.embed(Image{1, 1, {}}), ImageError);

  const std::string siglip = source_dir() + "/tests/golden/siglip";
  Engine tower = Engine::open(siglip, {.device = "cpu", .threads = 1, .pictures_only = true});
  EXPECT_EQ(tower.embed(kScene).numbers, program_says({"-m", siglip}).get<std::vector<float>>());
  EXPECT_THROW(tower.answer(kScene, "ocr"), std::invalid_argument);
  EXPECT_THROW(Engine::open(siglip), ModelFileError);
}

TEST(Engine, MayBeMovedAndItsPicturesStay) {
  std::optional<Engine> engine(open_tiny());
  const Picture scene = engine->look_at(kScene);
  Engine moved = std::move(*engine);
  engine.reset();
  EXPECT_EQ(moved.answer(scene, "answer en what color is the square?").text, "blue");
  moved = open_tiny();  // the picture keeps what it needs
  EXPECT_THROW(moved.answer(scene, "ocr"), std::invalid_argument);
  Picture mine = moved.look_at(kScene);
  const Picture taken = std::move(mine);
  EXPECT_THROW(moved.answer(mine, "ocr"), std::invalid_argument);
}

TEST(Engine, RefusesWhatMakesNoSense) {
  for (const EngineOptions& options :
       {EngineOptions{.device = "tpu"}, EngineOptions{.device = "cuda:"},
        EngineOptions{.device = "cuda:x"}, EngineOptions{.dtype = "int3"},
        EngineOptions{.threads = -1}, EngineOptions{.threads = 1025}}) {
    EXPECT_THROW(Engine::open(kModel, options), std::invalid_argument)
        << options.device << options.dtype << options.threads;
  }
  Engine engine = open_tiny();
  const Picture scene = engine.look_at(kScene);
  const float nan = std::nanf("");
  for (const AnswerOptions& options :
       {AnswerOptions{.max_tokens = 0}, AnswerOptions{.temperature = -1},
        AnswerOptions{.temperature = nan}, AnswerOptions{.top_k = -1}, AnswerOptions{.top_p = 1.5f},
        AnswerOptions{.top_p = nan}}) {
    EXPECT_THROW(engine.answer(scene, "ocr", options), std::invalid_argument);
  }
  EXPECT_EQ(engine.answer(scene, "ocr").finish_reason, FinishReason::eos);
}

TEST(Engine, ErrorsAreOfTheirKind) {
  TemporaryFolder folder;
  EXPECT_THROW(Engine::open(folder / "nowhere"), NotFoundError);
  std::ofstream(folder / "config.json") << "{";
  EXPECT_THROW(Engine::open(folder.path()), ModelFileError);
  Engine engine = open_tiny();
  EXPECT_THROW(engine.look_at(folder / "nowhere.png"), ImageError);
  EXPECT_THROW(engine.answer(kScene, "\xff"), PromptError);
  EXPECT_THROW(engine.answer(kScene, "ocr", {.max_tokens = 1 << 30}), PromptError);
}

TEST(Engine, SaysThatThereIsNoGpu) {
  ::setenv("CUDA_VISIBLE_DEVICES", "", 1);
  EXPECT_EQ(Engine::open(kModel).device(), "cpu");
  for (const char* device : {"cuda", "cuda:1", "emulated"}) {
    try {
      Engine::open(kModel, {.device = device});
      ADD_FAILURE() << device;
    } catch (const std::runtime_error& error) {
      const std::string_view message = error.what();
      EXPECT_NE(message.find(device == std::string("emulated") ? "emulated" : "no CUDA device"),
                message.npos)
          << message;
    }
  }
}

// Kernels fail where their proof, which is made in a child process, finds no memory.
TEST(Engine, SaysWhichKernelsFailed) {
  TemporaryFolder cache;
  ::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1);
  EXPECT_EQ(open_tiny().note(), "");
  if (!std::filesystem::remove(cache / "paligemma/proven-kernels")) {
    GTEST_SKIP() << "this processor runs the portable kernels, which need no proof";
  }
  static bool fails = true;
  ::pthread_atfork(nullptr, nullptr, [] {
    const rlimit none{0, 0};
    if (fails) ::setrlimit(RLIMIT_AS, &none);
  });
  Engine engine = open_tiny();
  fails = false;
  EXPECT_NE(engine.note().find("kernels compute nonsense here"), std::string::npos);
  EXPECT_TRUE(engine.note().ends_with(", so portable run")) << engine.note();
  EXPECT_EQ(engine.answer(kScene, "answer en what color is the square?").text, "blue");
}

TEST(Engine, SaysWhatItsModelAsksForInVain) {
  const TemporaryFolder copy;
  std::filesystem::copy(kModel, copy.path(), std::filesystem::copy_options::recursive);
  write_text(copy / "generation_config.json", R"({"eos_token_id": 1, "min_length": 2})");
  const Engine engine = Engine::open(copy.path(), {.device = "cpu", .threads = 1});
  EXPECT_TRUE(engine.note().ends_with("min_length")) << engine.note();
}

TEST(Engine, AnswersAsItsModelSays) {
  const TemporaryFolder copy;
  std::filesystem::copy(kModel, copy.path(), std::filesystem::copy_options::recursive);
  const auto say = [&](const std::string& config) {
    write_text(copy / "generation_config.json", config);
    return Engine::open(copy.path(), {.device = "cpu", .threads = 1}).answer(kScene, "caption en");
  };
  const Answer plain = say(R"({"eos_token_id": 1})");
  const Answer stopped = say(R"({"eos_token_id": 1, "stop_strings": ["circle"]})");
  EXPECT_EQ(stopped.text, "a red circle");
  EXPECT_EQ(stopped.finish_reason, FinishReason::stop);
  EXPECT_EQ(say(R"({"eos_token_id": 1, "max_new_tokens": 2})").tokens.size(), 2u);
  EXPECT_NE(say(R"({"eos_token_id": 1, "no_repeat_ngram_size": 1})").text, plain.text);
  EXPECT_EQ(say(R"({"eos_token_id": 1, "num_beams": 3})").finish_reason, FinishReason::eos);
}

TEST(Engine, SaysWhatWasTypedInVain) {
  Engine engine = open_tiny();
  const Picture scene = engine.look_at(kScene);
  const Answer plain = engine.answer(scene, "ocr"), typed = engine.answer(scene, "<bos>ocr");
  EXPECT_EQ(plain.note, "");
  EXPECT_NE(typed.note.find("<bos>"), std::string::npos) << typed.note;
  EXPECT_EQ(ids_of(typed), ids_of(plain));
}

TEST(Engine, HasAsManyThreadsAsAreAskedFor) {
  const auto running = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                         std::filesystem::directory_iterator());
  };
  omp_set_num_threads(5);
  std::thread([] {}).join();  // the first one brings a sanitizer's own with it
  const auto before = running();
  for (const int threads : {1, 2, 4}) {
    Engine engine = Engine::open(kModel, {.device = "cpu", .threads = threads});
    const auto listen = [&](std::string_view) { EXPECT_EQ(omp_get_max_threads(), threads); };
    engine.answer(kScene, "caption en", {.on_text = listen});
    EXPECT_EQ(running(), before + threads - 1);
    EXPECT_EQ(omp_get_max_threads(), 5);
  }
}

// Two of one model, each with what it was given.
TEST(Engine, EachHasItsAdapter) {
  const std::filesystem::path golden = source_dir() + "/tests/golden/paligemma1";
  const auto recorded = json::parse(std::ifstream(golden / "adapters/adapters.json"));
  const auto said = [&](Engine& engine) {
    return ids_of(
        engine.answer(golden / "picture.png", std::string(recorded["prompt"]), {.max_tokens = 12}));
  };
  const auto with = [&](const char* name) {
    return Engine::open(golden, {.device = "cpu", .adapter = golden / "adapters" / name});
  };
  Engine one = with("all_linear"), other = with("dora"),
         none = Engine::open(golden, {.device = "cpu"});
  EXPECT_EQ(said(one), recorded["answers"]["all_linear"].get<std::vector<int>>());
  EXPECT_EQ(said(other), recorded["answers"]["dora"].get<std::vector<int>>());
  EXPECT_EQ(said(none), recorded["without"].get<std::vector<int>>());
  EXPECT_THROW(with("nowhere"), NotFoundError);
}

TEST(Engine, SeveralRunSideBySide) {
  std::vector<std::vector<std::string>> texts(3);
  std::vector<std::thread> threads;
  for (auto& mine : texts) {
    threads.emplace_back([&mine] {
      Engine engine = Engine::open(kModel, {.device = "cpu", .threads = 2});
      for (const char* prompt :
           {"answer en what color is the square?", "segment red circle", "caption en"}) {
        mine.push_back(engine.answer(kScene, prompt).text);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(texts[0][0], "blue");
  EXPECT_EQ(texts[1], texts[0]);
  EXPECT_EQ(texts[2], texts[0]);
}

}  // namespace
}  // namespace paligemma
