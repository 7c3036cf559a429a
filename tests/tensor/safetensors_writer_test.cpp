// Safetensors files, written and read again.
#include "tensor/safetensors_writer.h"

#include <gtest/gtest.h>

#include "tensor/safetensors.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

class SafetensorsWriterTo : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "model.safetensors";
  const std::vector<TensorToWrite> all_{{{"floats", {2, 3}}, WeightFormat::f32},
                                        {{"halves", {5}}, WeightFormat::f16},
                                        {{"brains", {1, 7}}, WeightFormat::bf16},
                                        {{"eight", {2, 300}}, WeightFormat::int8_blocks},
                                        {{"four", {3, 256}}, WeightFormat::int4_blocks}};
};

// Each tensor's bytes are its number in the list.
TEST_F(SafetensorsWriterTo, AFileWritesWhatIsReadFromIt) {
  SafetensorsWriter writer(path_, all_, false);
  EXPECT_EQ(writer.bytes(), 24u + 10 + 14 + 2 * 2 * 260 + 3 * 140);
  for (std::size_t i = 0; i < all_.size(); ++i) {
    writer.write(std::vector<std::byte>(all_[i].bytes(), static_cast<std::byte>(i)));
  }
  writer.finish();
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.metadata().at("trained"), "false");
  const std::pair<DType, std::vector<Index>> expected[] = {{DType::f32, {2, 3}},
                                                           {DType::f16, {5}},
                                                           {DType::bf16, {1, 7}},
                                                           {DType::u8, {2, 2, 260}},
                                                           {DType::u8, {3, 1, 140}}};
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const TensorEntry& entry = file.tensors().at(all_[i].tensor.name);
    EXPECT_EQ(entry.dtype, expected[i].first);
    EXPECT_EQ(entry.shape, expected[i].second);
    for (const std::byte byte : entry.bytes) EXPECT_EQ(byte, static_cast<std::byte>(i));
  }
  const auto* numbers = file.tensors().at("floats").bytes.data();
  EXPECT_EQ((numbers - file.bytes().data()) % 64, 0);
}

TEST_F(SafetensorsWriterTo, AFileOfTrainedWeightsSaysNothingOfThem) {
  SafetensorsWriter writer(path_, {}, true);
  writer.finish();
  EXPECT_FALSE(SafetensorsFile(path_).metadata().contains("trained"));
}

// Whatever they hold; the numbers stand where they stood.
TEST_F(SafetensorsWriterTo, AFileHasTheTextsThatItIsGiven) {
  std::map<std::string, std::string> expected{
      {"format", "pt"}, {"run", R"({"lr":0.1})"}, {"a \"name\"", "\\ \n caf\u00e9"}, {"none", ""}};
  for (const bool trained : {true, false}) {
    if (!trained) expected["trained"] = "false";
    SafetensorsWriter writer(
        path_, all_, trained,
        {{"run", R"({"lr":0.1})"}, {"a \"name\"", "\\ \n caf\u00e9"}, {"none", ""}});
    writer.leave_hole();
    writer.finish();
    const SafetensorsFile file(path_);
    EXPECT_EQ(file.metadata(), expected);
    EXPECT_EQ(file.tensors().size(), all_.size());
    const auto* numbers = file.tensors().at("floats").bytes.data();
    EXPECT_EQ((numbers - file.bytes().data()) % 64, 0);
  }
}

TEST_F(SafetensorsWriterTo, AFileMayBeAHole) {
  SafetensorsWriter writer(path_, all_, false);
  writer.leave_hole();
  writer.finish();
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.tensors().size(), all_.size());
  for (const std::byte byte : file.tensors().at("eight").bytes) EXPECT_EQ(byte, std::byte{0});
}

TEST_F(SafetensorsWriterTo, AFullDiskSaysSo) {
  SafetensorsWriter writer("/dev/full", all_, false);
  for (int i = 0; i < 64; ++i) writer.write(std::vector<std::byte>(1024));
  EXPECT_FALSE(writer.works());
  EXPECT_TRUE(holds(error_text<std::runtime_error>([&] { writer.finish(); }), "/dev/full",
                    "cannot be written"));
}

}  // namespace
}  // namespace paligemma
