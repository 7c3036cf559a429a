// `inspect`: what a checkpoint holds.
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

TEST(Inspect, ShowsSizesAndEveryKindOfTensor) {
  const Ran ran = run_program({"inspect", kGolden});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.err, "");
  for (const char* line :
       {"134064 parameters in 68 tensors, f32\n",
        "picture  32 x 32, patches of 6, 25 image tokens\n",
        "4 heads of 12, 1 KV heads, 1856 tokens\n",
        "   3 x language_model.model.layers.*.self_attn.q_proj.weight", "[48, 40]\n"}) {
    EXPECT_NE(ran.out.find(line), std::string::npos) << line << "\n" << ran.out;
  }
}

TEST(Inspect, AsJsonHasTheDocumentedKeys) {
  for (const auto& [model, arch, dtype] :
       {std::tuple{kGolden, "paligemma", "f32"}, std::tuple{kGolden2, "paligemma2", "bf16"}}) {
    const Ran ran = run_program({"inspect", model, "--json"});
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(count_lines(ran.out), 1u);
    const json object = json::parse(ran.out);
    EXPECT_EQ(object.size(), 5u);
    EXPECT_EQ(object["arch"], arch);
    EXPECT_EQ(object["dtype"], dtype);
    EXPECT_EQ(object["tensors"], read_tensors(model + "/model.safetensors").size());
    EXPECT_EQ(object["config"], json::parse(read_bytes(model + "/config.json")));
    Index numbers = 0;
    for (const auto& [name, tensor] : read_tensors(model + "/model.safetensors")) {
      numbers += static_cast<Index>(tensor.bytes.size()) / (tensor.dtype == "F32" ? 4 : 2);
    }
    EXPECT_EQ(object["params"], numbers);
  }
}

TEST(Inspect, TakesTheModelLikeEveryOtherCommand) {
  const std::string expected = run_program({"inspect", kGolden}).out;
  EXPECT_EQ(run_program({"inspect", "-m", kGolden}).out, expected);
  EXPECT_EQ(run_program({"inspect"}).exit_code, 0);  // the built-in model
  EXPECT_EQ(run_program({"inspect", kGolden + "/model.safetensors"}).exit_code, 0);
  EXPECT_TRUE(refuses(run_program({"inspect", "/nonexistent"}), 3, {"/nonexistent"}));
  EXPECT_TRUE(refuses(run_program({"inspect", kPicture}), 4, {"picture.png"}));
}

}  // namespace
}  // namespace paligemma
