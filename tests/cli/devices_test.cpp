// --device, --reference and --list-devices. CUDA_VISIBLE_DEVICES hides whatever GPU there is.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "fast/core/kernels.h"
#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;

const std::vector<std::string> kQuestion{"--image", source_dir() + "/examples/pictures/scene.png",
                                         "-p", "answer en what color is the square?"};

std::vector<std::string> with(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Devices, AreListed) {
  const Ran ran = run_program({"--list-devices"});
  EXPECT_TRUE(ran.out.starts_with("cpu\nemulated ")) << ran;
  EXPECT_EQ(count_lines(ran.out), 2u) << ran;
  EXPECT_EQ(run_emulated({"--list-devices"}).out, ran.out);
}

TEST(Devices, WithoutAGpuAutoIsTheCpu) {
  const Ran plain = run_program(with(kQuestion, {"--device", "cpu", "--json"}));
  EXPECT_EQ(nlohmann::json::parse(plain.out)["device"], "cpu") << plain;
  const Ran chosen = run_program(with(kQuestion, {"--json"}));
  EXPECT_EQ(nlohmann::json::parse(chosen.out)["device"], "cpu") << chosen;
  EXPECT_EQ(chosen.err, "");
}

TEST(Devices, AGpuThatIsNotThereIsOneLine) {
  const bool is_built = std::filesystem::exists(program() + "_cuda");
  for (const char* device : {"cuda", "cuda:1", "cuda:99999999999999999999"}) {
    const auto question = with(kQuestion, {"--device", device});
    EXPECT_TRUE(refuses(run_program(question), 1, {is_built ? "no CUDA device" : "nvcc"}));
    EXPECT_TRUE(refuses(run_emulated(question), 1, {"paligemma_cuda"}));
  }
}

TEST(Devices, TheReferenceIsOnTheCpu) {
  EXPECT_EQ(run_program(with(kQuestion, {"--reference"})).out, run_program(kQuestion).out);
  EXPECT_TRUE(refuses(run_program(with(kQuestion, {"--reference", "--device", "cuda"})), 2,
                      {"--reference", "cuda"}));
}

TEST(Devices, OnTheCpuVNamesTheKernels) {
  const Ran fast = run_program(with(kQuestion, {"-v"}));
  EXPECT_EQ(fast.exit_code, 0) << fast;
  EXPECT_NE(fast.err.find("device: cpu, executor: fast ("), std::string::npos) << fast;
  const Ran reference = run_program(with(kQuestion, {"--reference", "-v"}));
  EXPECT_EQ(reference.exit_code, 0) << reference;
  EXPECT_NE(reference.err.find("device: cpu, executor: reference, "), std::string::npos)
      << reference;
}

TEST(Kernels, CanBeNamed) {
  const std::string answer = run_program(kQuestion).out;
  for (const Kernels* kernels : available_kernels()) {
    const std::string name(kernels->name);
    const Ran ran = run_program(with(kQuestion, {"--kernels", name, "-v"}));
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out, answer);
    EXPECT_NE(ran.err.find("executor: fast (" + name + ": "), std::string::npos) << ran;
  }
  EXPECT_EQ(run_program(with(kQuestion, {"--kernels", "auto"})).out, answer);
  EXPECT_EQ(run_program({"eval", "--scenes", "1", "--kernels", "portable"}).exit_code, 0);
  const Ran bench = run_program({"bench", "--rounds", "1", "--kernels", "portable", "--json"});
  EXPECT_EQ(nlohmann::json::parse(bench.out)["kernels"], "portable");
}

TEST(Kernels, ThatTheProcessorLacksAreRefused) {
  std::set<std::string> lacking{"avx2", "avx512", "avx512_bf16", "sse9", "Portable"};
  for (const Kernels* kernels : available_kernels()) lacking.erase(std::string(kernels->name));
  for (const std::string& name : lacking) {
    for (const auto& command : {kQuestion, {"eval"}, {"bench"}}) {
      EXPECT_TRUE(refuses(run_program(with(command, {"--kernels", name})), 2,
                          {"--kernels " + name, "auto, ", "portable"}));
    }
  }
}

TEST(Kernels, AreOfTheFastExecutor) {
  for (const std::vector<std::string>& other :
       std::vector<std::vector<std::string>>{{"--reference"}, {"--device", "cuda"}}) {
    EXPECT_TRUE(refuses(run_program(with(kQuestion, with(other, {"--kernels", "portable"}))), 2,
                        {"--kernels portable", other[0]}));
  }
  const Ran ran = run_program(with(kQuestion, {"--device", "emulated", "--kernels", "portable"}));
  EXPECT_TRUE(refuses(ran, 2, {"--kernels portable", "emulated"}));
}

// What was proven is kept, and nothing is said of it; where it cannot be kept nothing is said either.
TEST(Kernels, AreProvenRightOnce) {
  TemporaryFolder home;
  const auto file = home / "paligemma/proven-kernels";
  const auto ask_with = [&](const std::string& cache, const std::vector<std::string>& more) {
    const Ran ran =
        run_program(with(kQuestion, more), {.environment = {{"XDG_CACHE_HOME", cache}}});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.err, "");
  };
  for (const auto& more : {std::vector<std::string>{"--reference"}, {"--kernels", "portable"}}) {
    ask_with(home.path(), more);
    EXPECT_FALSE(std::filesystem::exists(file));
  }
  ask_with(home.path(), {});
  const std::string kept = read_bytes(file);
  const bool is_checked = available_kernels().size() > 1;
  EXPECT_EQ(count_lines(kept), is_checked ? 1u : 0u);
  EXPECT_TRUE(kept.starts_with(is_checked ? best_kernels().name : ""));
  const auto written = [&] { return std::filesystem::last_write_time(file); };
  if (is_checked) {
    const auto before = written();
    ask_with(home.path(), {});
    EXPECT_EQ(written(), before);
  }
  for (const char* nowhere : {"/dev/null", "/proc/self", "relative", ""}) ask_with(nowhere, {});
}

TEST(Devices, QuantizedWeightsAreForTheCpu) {
  const Ran ran = run_program(with(kQuestion, {"--device", "emulated", "--dtype", "int8"}));
  EXPECT_TRUE(refuses(ran, 1, {"--device cpu"}));
}

TEST(Devices, EmulatedKernelsGiveTheSameAnswer) {
  const Ran ran = run_program(with(kQuestion, {"--device", "emulated", "--json", "-v"}));
  ASSERT_EQ(ran.exit_code, 0) << ran;
  const auto object = nlohmann::json::parse(ran.out);
  EXPECT_EQ(object["device"], "emulated");
  EXPECT_EQ(object["text"], "blue");
  EXPECT_NE(ran.err.find("executor: cuda"), std::string::npos) << ran;
}

TEST(Devices, EmulatedKernelsDumpTheSameTaps) {
  TemporaryFolder folder;
  run_program(with(kQuestion, {"--dump", folder / "cpu"}));
  run_program(with(kQuestion, {"--device", "emulated", "--dump", folder / "cuda"}));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "cpu")) {
    if (!entry.is_regular_file()) continue;
    const auto there = std::filesystem::path(folder / "cuda") /
                       std::filesystem::relative(entry.path(), folder / "cpu");
    ASSERT_TRUE(std::filesystem::exists(there)) << there;
    EXPECT_EQ(std::filesystem::file_size(there), entry.file_size()) << there;
    ++files;
  }
  EXPECT_GT(files, 20u);
}

TEST(Devices, EvalTakesThemToo) {
  const std::vector<std::string> eval{"eval", "--scenes", "1", "--json"};
  const Ran cpu = run_program(eval);
  const Ran emulated = run_program(with(eval, {"--device", "emulated", "--dtype", "f32"}));
  ASSERT_EQ(emulated.exit_code, 0) << emulated;
  EXPECT_EQ(emulated.out, cpu.out);
}

}  // namespace
}  // namespace paligemma
