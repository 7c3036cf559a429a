#include "paligemma/hdf5_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/keras_golden.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
namespace fs = std::filesystem;

const fs::path kFile = keras_folder() / "float32/model.weights.h5";
const std::string kNorm = "layers/rms_normalization/vars/0";

std::string refusal(const fs::path& path) {
  return error_text<ModelFileError>([&] { Hdf5File file(path); });
}

TEST(Hdf5File, WorkedExample) {
  const Hdf5File file(kFile);
  const TensorEntry& norm = file.datasets().at(kNorm);
  EXPECT_EQ(norm.dtype, DType::f32);
  EXPECT_EQ(norm.shape, std::vector<Index>{10});
  EXPECT_EQ(norm.bytes.size(), 40u);
  EXPECT_GE(norm.bytes.data(), file.bytes().data());
  EXPECT_EQ(file.datasets().size(), 59u);
}

TEST(Hdf5File, TellsEveryTypeOfFloats) {
  for (const auto& [name, dtype] : {std::pair("float32/model.weights.h5", DType::f32),
                                    std::pair("bfloat16/model.weights.h5", DType::bf16),
                                    std::pair("shards/model_00001.weights.h5", DType::f16),
                                    std::pair("refused/int8.weights.h5", DType::i8)}) {
    const Hdf5File file(keras_folder() / name);
    EXPECT_EQ(file.datasets().at(kNorm).dtype, dtype) << name;
  }
}

TEST(Hdf5File, ThatIsNotThereIsNotFound) {
  EXPECT_THROW(Hdf5File("/nonexistent.h5"), NotFoundError);
}

TEST(Hdf5File, ThatIsNoneIsToldByItsFirstBytes) {
  const TemporaryFolder folder;
  write_text(folder / "a.h5", "version https://git-lfs.github.com/spec/v1");
  EXPECT_TRUE(holds(refusal(folder / "a.h5"), "a.h5: not an HDF5 file", "git lfs pull"));
  write_text(folder / "a.h5", "whatever");
  EXPECT_TRUE(holds(refusal(folder / "a.h5"), "a.h5: not an HDF5 file"));
}

TEST(Hdf5File, CutShortIsRefused) {
  const TemporaryFolder folder;
  const std::string bytes = read_bytes(kFile);
  for (const std::size_t length :
       {std::size_t{8}, std::size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    write_text(folder / "a.h5", bytes.substr(0, length));
    EXPECT_TRUE(holds(refusal(folder / "a.h5"), "a.h5: ")) << length;
  }
  EXPECT_TRUE(holds(refusal(folder / "a.h5"), "truncated file"));
}

TEST(Hdf5File, WhoseNamesAreOverwrittenIsRefused) {
  const TemporaryFolder folder;
  std::string bytes = read_bytes(kFile);
  for (std::size_t at = bytes.find("TREE"); at != bytes.npos; at = bytes.find("TREE", at)) {
    bytes.replace(at, 4, "tree");
  }
  write_text(folder / "a.h5", bytes);
  EXPECT_TRUE(holds(refusal(folder / "a.h5"), "a.h5: ", "signature"));
}

// By a program that writes it, as HDF5 locks files; a link of this process is another program to flock.
TEST(Hdf5File, ThatIsLockedSaysHowToOpenIt) {
  const TemporaryFolder folder;
  fs::copy_file(kFile, folder / "a.h5");
  const int file = ::open((folder / "a.h5").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(file, LOCK_EX), 0);
  EXPECT_TRUE(holds(refusal(folder / "a.h5"), "unable to lock", "HDF5_USE_FILE_LOCKING=FALSE"));
  ::close(file);
  EXPECT_NO_THROW(Hdf5File(folder / "a.h5"));
}

TEST(Hdf5File, OfNumbersInPiecesSaysWhatToDo) {
  EXPECT_TRUE(holds(refusal(keras_folder() / "refused/chunked.weights.h5"), kNorm, "h5repack"));
}

TEST(Hdf5File, OfOtherNumbersIsRefusedByName) {
  EXPECT_TRUE(
      holds(refusal(keras_folder() / "refused/big_endian.weights.h5"), kNorm, "big-endian"));
}

// What is said of a file of 100 bytes.
std::string refused(const json& dataset) {
  static const std::vector<std::byte> bytes(100);
  const json said{{"datasets", {dataset}}};
  return error_text<ModelFileError>([&] { parse_datasets(said.dump(), bytes, "a.h5"); });
}

json described() {
  return {{"path", "x"}, {"dtype", "F32"}, {"shape", {2, 5}}, {"offset", 60}, {"bytes", 40}};
}

TEST(ParseDatasets, GivesEachItsBytes) {
  const std::vector<std::byte> bytes(100);
  const auto found = parse_datasets(json{{"datasets", {described()}}}.dump(), bytes, "a.h5");
  EXPECT_EQ(found.at("x").bytes.data(), bytes.data() + 60);
  EXPECT_EQ(found.at("x").bytes.size(), 40u);
}

TEST(ParseDatasets, TrustsNoNumber) {
  for (const auto& [name, value, words] :
       {std::tuple("offset", json(61), "does not fit"),
        std::tuple("offset", json(101), "does not fit"), std::tuple("offset", json(-1), "offset"),
        std::tuple("bytes", json(36), "does not fit"), std::tuple("bytes", json(-4), "bytes"),
        std::tuple("shape", json{2, 6}, "does not fit"), std::tuple("shape", json{0, 5}, "empty"),
        std::tuple("shape", json{std::int64_t{1} << 40, std::int64_t{1} << 40}, "overflows"),
        std::tuple("shape", json("2"), "shape"), std::tuple("dtype", json("opaque"), "opaque"),
        std::tuple("path", json(1), "path")}) {
    json dataset = described();
    dataset[name] = value;
    EXPECT_TRUE(holds(refused(dataset), "a.h5", words)) << name << " " << value;
  }
}

TEST(ParseDatasets, RefusesWhatIsThereTwice) {
  const std::vector<std::byte> bytes(100);
  const std::string said = json{{"datasets", {described(), described()}}}.dump();
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { parse_datasets(said, bytes, "a.h5"); }), "x",
                    "twice"));
}

// A child that libhdf5 has ended says nothing more.
TEST(ParseDatasets, PassesOnTheProblem) {
  EXPECT_TRUE(holds(error_text<ModelFileError>(
                        [] { parse_datasets(R"({"problem": "damaged\u001b"})", {}, "a.h5"); }),
                    "a.h5: damaged\\x1b"));
}

}  // namespace
}  // namespace paligemma
