#include "train/saved_run.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <bit>
#include <csignal>
#include <cstring>

#include "tensor/errors.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/data.h"
#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

const std::string kRun = R"({"lr":0.1,"optimizer":"adamw","seed":7})";

OptimizerRule rule_of(OptimizerKind kind) {
  OptimizerRule rule;
  rule.kind = kind;
  return rule;
}

Parameter parameter_of(const std::string& name, const std::vector<Index>& shape, unsigned seed) {
  const std::array<Index, 2> size{shape.size() == 1 ? 1 : shape[0], shape.back()};
  return {name, shape, random<float, 2>(size, seed), Buffer<float, 2>(size)};
}

// A matrix that Adafactor factors, one that it does not, and a vector.
struct Training {
  std::vector<Parameter> parameters;
  Optimizer optimizer;
  RunState state;

  explicit Training(OptimizerKind kind = OptimizerKind::adamw, unsigned seed = 1,
                    RunState begin = {})
      : parameters(all(seed)), optimizer(rule_of(kind), parameters), state(std::move(begin)) {
    for (auto& kept : optimizer.kept()) {
      for (auto& [name, numbers] : kept) {
        numbers = random<float, 2>(numbers.view().shape(), ++seed);
      }
    }
  }

  void load(const fs::path& folder, const std::string& run = kRun) {
    state = load_run(folder, run, parameters, optimizer);
  }
  void save(const fs::path& folder, const std::string& run = kRun) const {
    save_run(folder, run, state, parameters, optimizer);
  }

  // All numbers, one behind the other.
  std::string bytes() const {
    std::string text;
    const auto add = [&](View<const float, 2> numbers) {
      text.append(reinterpret_cast<const char*>(numbers.data()),
                  static_cast<std::size_t>(numbers.count()) * sizeof(float));
    };
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      add(parameters[i].value.view());
      for (const auto& kept : optimizer.kept()[i]) add(kept.numbers.view());
    }
    text.append(reinterpret_cast<const char*>(state.losses.data()), 4 * state.losses.size());
    text.append(reinterpret_cast<const char*>(state.validations.data()),
                8 * state.validations.size());
    return text;
  }

 private:
  static std::vector<Parameter> all(unsigned seed) {
    std::vector<Parameter> parameters;
    parameters.push_back(parameter_of("q_proj.weight", {40, 33}, 10 * seed));
    parameters.push_back(parameter_of("k_proj.weight", {3, 5}, 10 * seed + 1));
    parameters.push_back(parameter_of("norm.weight", {7}, 10 * seed + 2));
    return parameters;
  }
};

class SavedRun : public ::testing::Test {
 protected:
  // A run after three steps, of which the second was validated.
  static Training three_steps(OptimizerKind kind = OptimizerKind::adamw) {
    return Training(kind, 1, {3, {3.5f, 2.25f, 1.125f}, {{2, 4.5f}}});
  }

  template <class Error = ModelFileError>
  std::string refusal(const std::string& run = kRun) {
    Training here(OptimizerKind::adamw, 2);
    std::string said = error_text<Error>([&] { here.load(folder_.path(), run); });
    EXPECT_TRUE(holds(said, file_.string()));
    EXPECT_EQ(count_lines(said), 0u) << said;
    return said;
  }

  // Of the file with another header or other tensors.
  std::string refusal_of(const StoredTensors& tensors, const nlohmann::json& metadata) {
    write_tensors(file_, tensors, {{"__metadata__", metadata}});
    return refusal();
  }

  TemporaryFolder folder_;
  const fs::path file_ = saved_run_file(folder_.path()), part_ = file_.string() + ".part";
};

// docs/train/saved_run.md, "By hand".
TEST_F(SavedRun, WorkedExample) {
  std::vector<Parameter> parameters;
  parameters.push_back(parameter_of("norm.weight", {3}, 1));
  Optimizer optimizer({}, parameters);
  const RunState state{2, {2.5f, 2.0f}, {{2, 3.0f}}};
  save_run(folder_.path(), R"({"lr":0.1})", state, parameters, optimizer);

  const SafetensorsFile file(folder_ / "training.safetensors");
  EXPECT_EQ(file.metadata(),
            (std::map<std::string, std::string>{{"format", "pt"}, {"run", R"({"lr":0.1})"}}));
  std::map<std::string, std::string> shapes;
  std::size_t bytes = 0;
  for (const auto& [name, entry] : file.tensors()) {
    EXPECT_EQ(entry.dtype, DType::f32);
    shapes[name] = shape_text(entry.shape);
    bytes += entry.bytes.size();
  }
  EXPECT_EQ(shapes, (std::map<std::string, std::string>{{"norm.weight", "[1, 3]"},
                                                        {"norm.weight.m", "[1, 3]"},
                                                        {"norm.weight.v", "[1, 3]"},
                                                        {"losses", "[2]"},
                                                        {"validation", "[1, 2]"}}));
  EXPECT_EQ(bytes, 52u);
}

TEST_F(SavedRun, IsReadAsItWasWritten) {
  for (const OptimizerKind kind :
       {OptimizerKind::adamw, OptimizerKind::muon, OptimizerKind::adafactor, OptimizerKind::sgd}) {
    Training written = three_steps(kind), read(kind, 2);
    const float strange[] = {-0.0f, INFINITY, 1e-45f, std::bit_cast<float>(0x7fc12345)};
    std::copy_n(strange, 4, written.parameters[1].value.view().data());
    ASSERT_NE(read.bytes(), written.bytes());
    written.save(folder_.path());
    read.load(folder_.path());
    EXPECT_EQ(read.bytes(), written.bytes());
    EXPECT_EQ(read.state.step, 3);
    EXPECT_EQ(read.state.losses, written.state.losses);
    ASSERT_EQ(read.state.validations.size(), 1u);
    EXPECT_EQ(read.state.validations[0].step, 2);
    EXPECT_EQ(read.state.validations[0].loss, 4.5f);
  }
}

TEST_F(SavedRun, MayBeTheBeginning) {
  Training written, read(OptimizerKind::adamw, 2);
  written.save(folder_.path());
  read.state = {1, {1}, {{1, 1}}};
  read.load(folder_.path());
  EXPECT_EQ(read.bytes(), written.bytes());
  EXPECT_EQ(read.state.step, 0);
}

TEST_F(SavedRun, OfAFolderWithoutOneIsTheBeginning) {
  for (const fs::path& folder : {folder_.path(), folder_ / "none"}) {
    Training run, before;
    run.load(folder);
    EXPECT_EQ(run.bytes(), before.bytes());
    EXPECT_EQ(run.state.step, 0);
  }
}

TEST_F(SavedRun, ReplacesTheOneBefore) {
  Training run = three_steps(), read(OptimizerKind::adamw, 2);
  run.save(folder_.path());
  write_text(part_, std::string(1 << 20, 'x'));  // of a run that was killed
  run.parameters[0].value = random<float, 2>({40, 33}, 99);
  run.state.step = 4;
  run.state.losses.push_back(1);
  run.save(folder_.path());
  EXPECT_FALSE(fs::exists(part_));
  read.load(folder_.path());
  EXPECT_EQ(read.bytes(), run.bytes());
  EXPECT_EQ(read.state.step, 4);
}

TEST_F(SavedRun, OfAnotherRunSaysWhatDiffers) {
  three_steps().save(folder_.path());
  const auto said = [&](const std::string& run) { return refusal<OtherRunError>(run); };
  EXPECT_TRUE(said(R"({"lr":0.2,"optimizer":"adamw","seed":7})")
                  .ends_with("is of another run: lr 0.1, here 0.2"));
  EXPECT_TRUE(said(R"({"lr":0.1,"optimizer":"sgd","seed":8})")
                  .ends_with(R"(: optimizer "adamw", here "sgd"; seed 7, here 8)"));
  EXPECT_TRUE(said(R"({"lr":0.1,"optimizer":"adamw"})").ends_with(": seed 7, here nothing"));
  EXPECT_TRUE(said(R"({"lora":8,"lr":0.1,"optimizer":"adamw","seed":7})")
                  .ends_with(": lora nothing, here 8"));
  Training same(OptimizerKind::adamw, 2);
  EXPECT_NO_THROW(same.load(folder_.path(), R"({"seed":7,"optimizer":"adamw","lr":0.1})"));
}

TEST_F(SavedRun, ThatLacksATensorIsRefused) {
  three_steps().save(folder_.path());
  const StoredTensors whole = read_tensors(file_);
  ASSERT_EQ(whole.size(), 3u * 3 + 2);
  for (const auto& [name, tensor] : whole) {
    StoredTensors tensors = whole;
    tensors.erase(name);
    EXPECT_TRUE(refusal_of(tensors, {{"run", kRun}}).ends_with(": lacks " + name));
  }
}

TEST_F(SavedRun, WithOtherShapesIsRefused) {
  three_steps().save(folder_.path());
  const StoredTensors whole = read_tensors(file_);
  const auto said = [&](const std::string& name, const std::string& dtype,
                        const std::vector<std::int64_t>& shape) {
    StoredTensors tensors = whole;
    std::size_t bytes = dtype == "BF16" ? 2 : 4;
    for (const std::int64_t axis : shape) bytes *= static_cast<std::size_t>(axis);
    tensors[name] = {dtype, shape, std::string(bytes, '\0')};
    return refusal_of(tensors, {{"run", kRun}});
  };
  EXPECT_TRUE(holds(said("q_proj.weight", "F32", {33, 40}),
                    "q_proj.weight is f32 [33, 40], expected f32 [40, 33]"));
  EXPECT_TRUE(holds(said("q_proj.weight", "BF16", {40, 33}), "is bf16 [40, 33], expected f32"));
  EXPECT_TRUE(holds(said("norm.weight.v", "F32", {7}), "[7], expected f32 [1, 7]"));
  EXPECT_TRUE(holds(said("norm.weight.m", "F32", {1, 8}), "[1, 8], expected f32 [1, 7]"));
  EXPECT_TRUE(holds(said("losses", "F32", {3, 1}), "[3, 1], expected f32 [3]"));
  EXPECT_TRUE(holds(said("losses", "F32", {1L << 50, 0}), "expected f32 [0]"));
  EXPECT_TRUE(holds(said("losses", "BF16", {3}), "is bf16 [3]"));
  EXPECT_TRUE(holds(said("validation", "F32", {}), "[], expected f32 [0, 2]"));
  EXPECT_TRUE(holds(said("validation", "F32", {2}), "[2], expected f32 [1, 2]"));
  EXPECT_TRUE(holds(said("validation", "F32", {2, 1}), "[2, 1], expected f32 [1, 2]"));
}

TEST_F(SavedRun, ThatIsNoneIsRefused) {
  three_steps().save(folder_.path());
  const StoredTensors whole = read_tensors(file_);
  EXPECT_TRUE(holds(refusal_of(whole, {{"format", "pt"}}), "is no saved run"));
  EXPECT_TRUE(holds(refusal_of(whole, {{"run", "mine"}}), "not JSON"));
  EXPECT_TRUE(holds(refusal_of(whole, {{"run", "[1]"}}), "not a JSON object"));
  write_text(file_, "no safetensors at all");
  refusal();
  fs::remove(file_);
  fs::create_directory(file_);
  refusal();
}

// Wherever it was cut.
TEST_F(SavedRun, ThatIsCutShortIsRefused) {
  three_steps().save(folder_.path());
  const std::string whole = read_bytes(file_);
  for (std::size_t size = 0; size < whole.size(); size += 1 + size / 9) {
    write_text(file_, whole.substr(0, size));
    refusal();
  }
  write_text(file_, whole.substr(0, whole.size() - 1));
  refusal();
}

// On a full disk, in a folder that is not there, and where nothing can be replaced.
TEST_F(SavedRun, ThatCannotBeWrittenLeavesTheOneBefore) {
  Training before = three_steps();
  before.save(folder_.path());
  Training after(OptimizerKind::adamw, 2);
  const auto said = [&](const fs::path& folder) {
    return error_text<std::runtime_error>([&] { after.save(folder); });
  };
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  for (const rlim_t bytes : {0, 4096}) {
    const rlimit small{bytes, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string text = said(folder_.path());
    setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_TRUE(holds(text, "training.safetensors", "cannot be written")) << bytes;
    EXPECT_FALSE(fs::exists(part_));
    Training read(OptimizerKind::adamw, 3);
    read.load(folder_.path());
    EXPECT_EQ(read.bytes(), before.bytes());
  }
  EXPECT_TRUE(holds(said(folder_ / "none"), "cannot be written"));
  EXPECT_FALSE(fs::exists(folder_ / "none"));
  EXPECT_TRUE(holds(said(file_), "cannot be written"));
  fs::remove(file_);
  fs::create_directories(file_ / "in the way");
  EXPECT_TRUE(holds(said(folder_.path()), file_.string()));
  EXPECT_FALSE(fs::exists(part_));
}

TEST_F(SavedRun, HasALossOfEachStep) {
  Training run = three_steps();
  run.state.losses.pop_back();
  EXPECT_THROW(run.save(folder_.path()), ContractError);
  EXPECT_FALSE(fs::exists(file_));
}

}  // namespace
}  // namespace paligemma
