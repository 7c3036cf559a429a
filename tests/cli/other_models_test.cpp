// Models in other programs' formats: exit code 4 and a line that says what it is and what to do.
#include <gtest/gtest.h>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;

class OtherModel : public ::testing::Test {
 protected:
  Ran inspect(const std::string& name = "") const {
    return run_program({"inspect", folder_ / name});
  }

  TemporaryFolder folder_;
};

// A folder of nothing else, and one that has config.json too.
TEST_F(OtherModel, IsNamedByItsFiles) {
  for (const auto& [file, word] :
       {std::pair("adapter_model.safetensors", "--adapter"), std::pair("task.json", "Keras"),
        std::pair("own.weights.h5", "Keras"), std::pair("paligemma.gguf", "llama.cpp"),
        std::pair("pytorch_model.bin", "save_pretrained"),
        std::pair("pytorch_model-00001-of-00002.bin", "save_pretrained"),
        std::pair("tf_model.h5", "save_pretrained"), std::pair("last.ckpt", "save_pretrained"),
        std::pair("flax_model.msgpack", "save_pretrained"), std::pair("pt_224.npz", "big_vision"),
        std::pair("manifest.ocdbt", "Orbax")}) {
    const TemporaryFolder folder;
    const bool is_adapter = std::string(file).starts_with("adapter");
    const std::string named = is_adapter ? "adapter_config.json" : file;
    write_text(folder / file, "whatever");
    if (is_adapter) write_text(folder / named, "{}");
    EXPECT_TRUE(refuses(run_program({"inspect", folder.path()}), 4, {named, word}));
    for (const char* name : {"config.json", "tokenizer.model"}) {
      std::filesystem::copy_file(kGolden + "/" + name, folder / name);
    }
    EXPECT_TRUE(refuses(run_program({"inspect", folder.path()}), 4, {named, word}));
  }
}

// Beside safetensors they are not looked at, but for an adapter, which transformers would put upon them.
TEST_F(OtherModel, BesideSafetensorsIsNone) {
  copy_golden(folder_ / "m");
  for (const char* name : {"pytorch_model.bin", "model.gguf", "task.json"})
    write_text(folder_ / "m" / name, "");
  EXPECT_EQ(inspect("m").exit_code, 0);
  write_text(folder_ / "m/adapter_config.json", "{}");
  EXPECT_TRUE(refuses(inspect("m"), 4, {"adapter_config.json", "PEFT"}));
}

TEST_F(OtherModel, IsNamedByItsConfiguration) {
  write_text(
      folder_ / "config.json",
      R"({"module": "keras_hub.src.models.pali_gemma", "class_name": "GemmaBackbone", "config": {}})");
  EXPECT_TRUE(refuses(inspect(), 4, {"config.json", "GemmaBackbone", "Keras"}));
  auto config = nlohmann::json::parse(read_bytes(kGolden + "/config.json"));
  config["quantization_config"] = {{"quant_method", "gptq"}, {"bits", 4}};
  write_text(folder_ / "config.json", config.dump());
  EXPECT_TRUE(refuses(inspect(), 4, {"quantization_config", "gptq", "paligemma quantize"}));
}

TEST_F(OtherModel, GivenByAFileIsNamedByWhatIsInIt) {
  for (const auto& [file, bytes, word] :
       {std::tuple("a.gguf", "GGUF\3", "llama.cpp"),
        std::tuple("a.h5", "\x89HDF\r\n\x1a\n", "Keras"),
        std::tuple("a.bin", "\x80\2.", "save_pretrained"), std::tuple("a.npz", "PK\3\4", "ZIP"),
        std::tuple("model.safetensors", "version https://git-lfs.github.com/spec/v1",
                   "git lfs pull")}) {
    write_text(folder_ / file, bytes);
    EXPECT_TRUE(refuses(inspect(file), 4, {file, word}));
  }
  copy_golden(folder_ / "m");
  EXPECT_EQ(inspect("m/config.json").exit_code, 0);
}

}  // namespace
}  // namespace paligemma
