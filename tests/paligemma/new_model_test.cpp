// A model's folder, whole or not at all.
#include "paligemma/new_model.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "tests/support/error_text.h"
#include "tests/support/run_program.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

class NewModelIn : public ::testing::Test {
 protected:
  void SetUp() override { write_text(folder_ / "other", "other's"); }

  TemporaryFolder folder_;
  const fs::path out_ = folder_ / "a/b";
};

TEST_F(NewModelIn, AFolderIsThereOnceItIsFinished) {
  NewModel model(out_);
  write_text(model.weights(), "weights");
  model.write("{}", "config.json");
  model.copy(folder_ / "other", "tokenizer.model");
  EXPECT_FALSE(fs::exists(out_ / "model.safetensors") || fs::exists(out_ / "config.json") ||
               fs::exists(out_ / "tokenizer.model"));
  model.finish();
  EXPECT_EQ(read_bytes(out_ / "model.safetensors"), "weights");
  EXPECT_EQ(read_bytes(out_ / "config.json"), "{}");
  EXPECT_EQ(read_bytes(out_ / "tokenizer.model"), "other's");
}

TEST_F(NewModelIn, AFolderThatIsNotFinishedIsGone) {
  {
    NewModel model(out_);
    write_text(model.weights(), "weights");
    model.write("{}", "config.json");
    EXPECT_THROW(model.copy(folder_ / "none", "tokenizer.model"), std::runtime_error);
  }
  EXPECT_FALSE(fs::exists(folder_ / "a"));
}

TEST_F(NewModelIn, AFolderThatWasThereLeavesItAsItWas) {
  fs::create_directories(out_);
  { NewModel model(out_); }
  EXPECT_TRUE(fs::is_empty(out_));
  write_text(out_ / "mine", "mine");
  {
    NewModel model(out_);
    model.write("{}", "config.json");
  }
  EXPECT_EQ(read_bytes(out_ / "mine"), "mine");
  EXPECT_FALSE(fs::exists(out_ / "config.json.part"));
}

TEST_F(NewModelIn, AFolderIsWrittenByOneRun) {
  std::optional<NewModel> first(out_);
  for (const bool replaces : {false, true}) {
    EXPECT_TRUE(holds(error_text<std::runtime_error>([&] { NewModel second(out_, replaces); }),
                      "model.safetensors", "another run"));
  }
  first.reset();
  EXPECT_NO_THROW(NewModel third(out_));
}

TEST_F(NewModelIn, AFolderThatHasAModelIsRefused) {
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    fs::create_directories(out_);
    write_text(out_ / name, "mine");
    EXPECT_TRUE(holds(error_text<std::runtime_error>([&] { NewModel model(out_); }),
                      "there is a model already"));
    EXPECT_EQ(read_bytes(out_ / name), "mine");
    EXPECT_FALSE(fs::exists(out_ / "model.safetensors.part"));
    fs::remove_all(out_);
  }
}

TEST_F(NewModelIn, AFolderThatHasAModelIsAsItWasUntilAnotherReplacesIt) {
  fs::create_directories(out_);
  write_text(out_ / "model.safetensors", "old weights");
  write_text(out_ / "config.json", "old");
  const auto write = [&](bool finishes) {
    NewModel model(out_, true);
    write_text(model.weights(), "new weights");
    model.write("new", "config.json");
    EXPECT_EQ(read_bytes(out_ / "model.safetensors"), "old weights");
    EXPECT_EQ(read_bytes(out_ / "config.json"), "old");
    if (finishes) model.finish();
  };
  const auto files = [&] { return std::distance(fs::directory_iterator(out_), {}); };
  write(false);
  EXPECT_EQ(read_bytes(out_ / "model.safetensors"), "old weights");
  EXPECT_EQ(read_bytes(out_ / "config.json"), "old");
  EXPECT_EQ(files(), 2);
  write(true);
  EXPECT_EQ(read_bytes(out_ / "model.safetensors"), "new weights");
  EXPECT_EQ(read_bytes(out_ / "config.json"), "new");
  EXPECT_EQ(files(), 2);
}

// Its folder would have two models.
TEST_F(NewModelIn, AFolderThatHasAModelInShardsIsNotReplaced) {
  fs::create_directories(out_);
  write_text(out_ / "model.safetensors.index.json", "mine");
  EXPECT_TRUE(holds(error_text<std::runtime_error>([&] { NewModel model(out_, true); }),
                    "there is a model already"));
  EXPECT_FALSE(fs::exists(out_ / "model.safetensors.part"));
}

TEST_F(NewModelIn, AFolderTakesWhatAKilledRunLeft) {
  fs::create_directories(out_);
  write_text(out_ / "model.safetensors.part", "half");
  write_text(out_ / "tokenizer.model.part", "half");
  NewModel model(out_);
  write_text(model.weights(), "weights");
  model.copy(folder_ / "other", "tokenizer.model");
  model.finish();
  EXPECT_EQ(read_bytes(out_ / "model.safetensors"), "weights");
  EXPECT_EQ(read_bytes(out_ / "tokenizer.model"), "other's");
}

TEST_F(NewModelIn, AFolderTakesWhatStandsBesideAnothersWeights) {
  const fs::path model = folder_ / "model";
  fs::create_directories(model);
  const std::set<std::string> read{
      "config.json",       "generation_config.json", "preprocessor_config.json",
      "tokenizer.model",   "processor_config.json",  "vae-oid.npz",
      "tokenizer.json",    "tokenizer_config.json",  "special_tokens_map.json",
      "added_tokens.json", "chat_template.json",     "chat_template.jinja"};
  for (const std::string& name : read) write_text(model / name, name);
  write_text(model / "model.safetensors", "weights");
  write_text(model / "README.md", "of another model");
  NewModel written(out_);
  written.write("mine", "config.json");
  written.copy_beside_weights(model);
  written.finish();
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(out_)) {
    const std::string name = entry.path().filename();
    if (name == "model.safetensors") continue;
    found.insert(name);
    EXPECT_EQ(read_bytes(entry.path()), name == "config.json" ? "mine" : name);
  }
  EXPECT_EQ(found, read);
}

TEST_F(NewModelIn, AFolderWithWhatTheOtherHasNotIsRefused) {
  const fs::path model = folder_ / "model";
  fs::create_directories(model);
  fs::create_directories(out_);
  write_text(out_ / "added_tokens.json", "{}");
  NewModel written(out_);
  EXPECT_TRUE(holds(error_text<std::runtime_error>([&] { written.copy_beside_weights(model); }),
                    "added_tokens.json", "would change what the model says"));
  EXPECT_TRUE(holds(error_text<std::runtime_error>([&] { written.copy_beside_weights(out_); }),
                    "there is a model already"));
}

TEST_F(NewModelIn, AFileIsRefused) {
  EXPECT_THROW(NewModel(folder_ / "other"), std::runtime_error);
  EXPECT_THROW(NewModel(folder_ / "other/a"), std::runtime_error);
}

}  // namespace
}  // namespace paligemma
