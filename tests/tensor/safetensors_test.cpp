#include "tensor/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

template <class Number>
std::vector<Number> numbers_of(const TensorEntry& entry) {
  std::vector<Number> numbers(static_cast<std::size_t>(entry.count()));
  std::memcpy(numbers.data(), entry.bytes.data(), entry.bytes.size());
  return numbers;
}

class Safetensors : public ::testing::Test {
 protected:
  // Opens the file made of these parts.
  SafetensorsFile open(std::string_view header, std::string_view data = "") {
    write_safetensors(path_, header.size(), header, data);
    return SafetensorsFile(path_);
  }

  // What is said against it.
  std::string refusal(std::string_view header, std::size_t data_bytes = 0) {
    write_safetensors(path_, header.size(), header, std::string(data_bytes, 'x'));
    return refusal_of_file();
  }
  std::string refusal_of_file() {
    const std::string text = error_text<ModelFileError>([&] { SafetensorsFile{path_}; });
    EXPECT_TRUE(holds(text, path_.string()));
    return text;
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "some.safetensors";
};

// docs/tensor/safetensors.md, "One file, byte by byte".
TEST_F(Safetensors, WorkedExample) {
  const std::string_view header = R"({"w":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}})";
  ASSERT_EQ(header.size(), 57u);
  write_text(path_,
             std::string("\x39\0\0\0\0\0\0\0", 8) + std::string(header) + "\x80\x3f\x20\xc0");
  const SafetensorsFile file(path_);
  ASSERT_EQ(file.tensors().size(), 1u);
  const TensorEntry& w = file.tensors().at("w");
  EXPECT_EQ(w.dtype, DType::bf16);
  EXPECT_EQ(w.shape, (std::vector<Index>{1, 2}));
  const auto numbers = numbers_of<bf16>(w);
  EXPECT_EQ(widen(numbers[0]), 1.0f);
  EXPECT_EQ(widen(numbers[1]), -2.5f);
}

TEST_F(Safetensors, FindsEveryTensorAndTheMetadata) {
  const std::vector<float> a{1, 2, 3, 4, 5, 6};
  const std::vector<std::int64_t> b{-7};
  const std::vector<f16> c{{0x3c00}, {0xc000}};
  SafetensorsWriter()
      .add<float>("a", {2, 3}, a)
      .add<std::int64_t>("b", {}, b)
      .add<f16>("c", {2, 1, 1}, c)
      .add_metadata("format", "pt")
      .write(path_);
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.path(), path_);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(numbers_of<float>(file.tensors().at("a")), a);
  EXPECT_EQ(numbers_of<std::int64_t>(file.tensors().at("b")), b);
  EXPECT_EQ(file.tensors().at("b").shape, std::vector<Index>{});
  EXPECT_EQ(file.tensors().at("b").count(), 1);
  EXPECT_EQ(numbers_of<f16>(file.tensors().at("c"))[1].bits, 0xc000);
  EXPECT_EQ(shape_text(file.tensors().at("c").shape), "[2, 1, 1]");
}

TEST_F(Safetensors, KnowsEveryDTypeOfTheFormatThatItNames) {
  const std::vector<std::tuple<std::string, std::string, Index>> all{
      {"F64", "f64", 8}, {"F32", "f32", 4},         {"F16", "f16", 2},        {"BF16", "bf16", 2},
      {"I64", "i64", 8}, {"I32", "i32", 4},         {"I16", "i16", 2},        {"I8", "i8", 1},
      {"U8", "u8", 1},   {"BOOL", "bool", 1},       {"U16", "u16", 2},        {"U32", "u32", 4},
      {"U64", "u64", 8}, {"F8_E4M3", "f8_e4m3", 1}, {"F8_E5M2", "f8_e5m2", 1}};
  for (const auto& [in_file, name, size] : all) {
    const auto dtype = dtype_named(in_file);
    ASSERT_TRUE(dtype) << in_file;
    EXPECT_EQ(name_of(*dtype), name);
    EXPECT_EQ(size_of(*dtype), size) << in_file;
  }
  EXPECT_FALSE(dtype_named("f32"));
  EXPECT_FALSE(dtype_named("F4"));
}

TEST_F(Safetensors, MayHoldNothing) {
  EXPECT_TRUE(open("{}").tensors().empty());
  EXPECT_TRUE(open(R"({"__metadata__":{}})").metadata().empty());
}

TEST_F(Safetensors, TensorsWithoutElementsTakeNoBytes) {
  const auto file = open(R"({"none":{"dtype":"F32","shape":[3,0],"data_offsets":[2,2]},)"
                         R"("w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                         "abcd");
  EXPECT_EQ(file.tensors().at("none").count(), 0);
  EXPECT_EQ(file.tensors().at("w").count(), 4);
}

TEST_F(Safetensors, TheOrderInTheHeaderDoesNotMatter) {
  const auto file = open(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)"
                         R"("b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                         "xyz");
  EXPECT_EQ(numbers_of<char>(file.tensors().at("a")), (std::vector<char>{'z'}));
  EXPECT_EQ(numbers_of<char>(file.tensors().at("b")), (std::vector<char>{'x', 'y'}));
}

TEST_F(Safetensors, TensorsMayBeLargerThanFourGigabytes) {
  SafetensorsWriter()
      .add_zeros<float>("first", {1 << 15, 1 << 15})
      .add_zeros<bf16>("second", {1 << 16, 1 << 16})
      .write(path_);
  const SafetensorsFile file(path_);
  const TensorEntry& second = file.tensors().at("second");
  EXPECT_EQ(second.count(), Index{1} << 32);
  EXPECT_EQ(second.bytes.data() - file.tensors().at("first").bytes.data(), Index{1} << 32);
  EXPECT_EQ(second.bytes.back(), std::byte{0});
}

// The file itself.

TEST_F(Safetensors, RefusesWhatIsNoFile) {
  EXPECT_THROW(SafetensorsFile(folder_ / "missing"), NotFoundError);
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { SafetensorsFile{folder_.path()}; }),
                    folder_.path().string(), "a folder, not a file"));
  // None of these is opened: a pipe without a writer would make us wait.
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { SafetensorsFile{folder_ / "pipe"}; }),
                    "a pipe, not a file"));
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { SafetensorsFile{"/dev/zero"}; }),
                    "a device, not a file"));
  write_text(path_, "");
  EXPECT_TRUE(holds(refusal_of_file(), "empty"));
}

// Even root meets these.
TEST_F(Safetensors, WhatCannotBeLookedUpIsNotThere) {
  std::filesystem::create_symlink("loop", folder_ / "loop");
  write_text(path_, "");
  for (const auto& path : {folder_ / "loop", path_ / "inside", folder_ / std::string(300, 'a')}) {
    EXPECT_TRUE(holds(error_text<NotFoundError>([&] { SafetensorsFile{path}; }), path.string()));
  }
}

TEST_F(Safetensors, RefusesAHeaderLengthThatTheFileDoesNotHave) {
  write_text(path_, "1234567");
  EXPECT_TRUE(holds(refusal_of_file(), "shorter"));
  for (std::uint64_t length : {3ull, 1ull << 40, ~0ull, ~0ull - 7, 1ull << 63}) {
    write_safetensors(path_, length, "{}", "");
    EXPECT_TRUE(holds(refusal_of_file(), "claims " + std::to_string(length), "10")) << length;
  }
}

TEST_F(Safetensors, RefusesAHeaderLengthThatCutsTheHeader) {
  for (std::uint64_t length : {0, 1}) {
    write_safetensors(path_, length, "{}", "");
    EXPECT_TRUE(holds(refusal_of_file(), "not JSON")) << length;
  }
  const std::string_view header = R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  write_safetensors(path_, header.size() + 1, header, "}");
  EXPECT_TRUE(holds(refusal_of_file(), "not JSON"));
}

// The header.

TEST_F(Safetensors, RefusesAHeaderThatIsNotOneObject) {
  for (const char* header :
       {"", "   ", "{", "nonsense", "{\"a\":}", "{} {}", "\xff\xfe", "{\"\xff\":1}"}) {
    EXPECT_TRUE(holds(refusal(header), "not JSON")) << header;
  }
  for (const char* header : {"[]", "1", "null", "\"text\""}) {
    EXPECT_TRUE(holds(refusal(header), "not a JSON object")) << header;
  }
}

TEST_F(Safetensors, NamesWhatIsNoSuchFile) {
  for (const auto& [bytes, word] :
       {std::pair("version https://git-lfs.github.com/spec/v1\n", "LFS"),
        std::pair("<!DOCTYPE html><html></html>", "HTML"), std::pair("GGUF\3llama.cpp", "GGUF"),
        std::pair("PK\3\4 a ZIP archive", "ZIP")}) {
    write_text(path_, bytes);
    EXPECT_TRUE(holds(refusal_of_file(), "looks like", word));
  }
  // One that is damaged is not called by its own name.
  write_safetensors(path_, 1000, "{}", "");
  EXPECT_TRUE(holds(refusal_of_file(), "claims 1000"));
}

TEST_F(Safetensors, RefusesTheSameKeyTwice) {
  const std::string w = R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  EXPECT_TRUE(holds(refusal("{" + w + "," + w + "}", 1), "\"w\"", "twice"));
  EXPECT_TRUE(
      holds(refusal(R"({"w":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1),
            "\"dtype\"", "twice"));
}

TEST_F(Safetensors, RefusesTowersOfBrackets) {
  const std::string tower(100'000, '[');
  EXPECT_TRUE(holds(refusal(tower), "nested too deeply"));
  EXPECT_TRUE(holds(refusal("{\"w\":" + tower + "}"), "nested too deeply"));
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_TRUE(holds(refusal(objects), "nested too deeply"));
}

TEST_F(Safetensors, RefusesMetadataThatIsNotText) {
  EXPECT_TRUE(holds(refusal(R"({"__metadata__":{"a":1}})"), "__metadata__", "text"));
  EXPECT_TRUE(holds(refusal(R"({"__metadata__":{"a":{}}})"), "__metadata__", "text"));
  EXPECT_TRUE(holds(refusal(R"({"__metadata__":["a"]})"), "__metadata__", "object"));
}

TEST_F(Safetensors, TakesNoMetadata) {
  write_safetensors(path_, 21, R"({"__metadata__":null})", "");
  EXPECT_TRUE(SafetensorsFile(path_).metadata().empty());
}

TEST_F(Safetensors, RefusesATensorWithoutItsFields) {
  for (const char* fields : {
           "1",
           "[]",
           "null",
           "{}",
           R"({"shape":[1],"data_offsets":[0,1]})",
           R"({"dtype":"U8","data_offsets":[0,1]})",
           R"({"dtype":"U8","shape":[1]})",
           R"({"dtype":7,"shape":[1],"data_offsets":[0,1]})",
           R"({"dtype":"U8","shape":1,"data_offsets":[0,1]})",
           R"({"dtype":"U8","shape":[1],"data_offsets":{"0":0,"1":1}})",
           R"({"dtype":"U8","shape":[1],"data_offsets":[0]})",
           R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,1]})",
       }) {
    EXPECT_TRUE(holds(refusal(std::string("{\"w\":") + fields + "}", 1), "tensor w", "needs"))
        << fields;
  }
}

TEST_F(Safetensors, RefusesAnUnknownDType) {
  for (const std::string dtype : {"F4", "f32", "int8", " ", ""}) {
    EXPECT_TRUE(
        holds(refusal(R"({"w":{"dtype":")" + dtype + R"(","shape":[1],"data_offsets":[0,1]}})", 1),
              "tensor w", "unknown dtype \"" + dtype + "\""))
        << dtype;
  }
}

// A dtype whose numbers take no bytes would let a tensor of any shape be held by none.
TEST_F(Safetensors, RefusesADTypeWithoutBytes) {
  EXPECT_TRUE(
      holds(refusal(R"({"w":{"dtype":"","shape":[1000000],"data_offsets":[0,0]}})"), "tensor w"));
}

TEST_F(Safetensors, RefusesSizesThatAreNotWholeNumbers) {
  for (const char* size : {"-1", "1.0", "1.5", "\"1\"", "null", "true", "[1]", "1e3",
                           "9223372036854775808", "18446744073709551615"}) {
    const std::string text =
        std::string("{\"w\":{\"dtype\":\"U8\",\"shape\":[") + size + "],\"data_offsets\":[0,1]}}";
    EXPECT_TRUE(holds(refusal(text, 1), "tensor w", "is not a whole number")) << size;
    const std::string offsets =
        std::string("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,") + size + "]}}";
    EXPECT_TRUE(holds(refusal(offsets, 1), "tensor w", "is not a whole number")) << size;
  }
}

// The layout.

std::string one_tensor(const std::string& dtype, const std::string& shape,
                       const std::string& offsets) {
  return "{\"w\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}}";
}

TEST_F(Safetensors, RefusesAShapeWhoseSizeOverflows) {
  for (const char* shape :
       {"[9223372036854775807]", "[4294967296,4294967296]", "[2147483648,2147483648,2147483648]"}) {
    EXPECT_TRUE(holds(refusal(one_tensor("F32", shape, "[0,4]"), 4), "tensor w", "overflows"))
        << shape;
  }
  // 2^64 / 4 numbers of 4 bytes would be no bytes at all if the product wrapped.
  EXPECT_TRUE(holds(refusal(one_tensor("F32", "[4611686018427387904]", "[0,0]"), 0), "overflows"));
  // An axis of 0 makes every product 0, but only for those who meet it first.
  for (const char* shape :
       {"[0,4611686018427387904,4]", "[4611686018427387904,4,0]", "[4611686018427387904,0,4]"}) {
    EXPECT_TRUE(holds(refusal(one_tensor("U8", shape, "[0,0]"), 0), "tensor w", "overflows"))
        << shape;
  }
}

TEST_F(Safetensors, RefusesOffsetsOutsideTheFile) {
  EXPECT_TRUE(holds(refusal(one_tensor("U8", "[5]", "[0,5]"), 4), "bytes 0 to 5 of 4"));
  EXPECT_TRUE(holds(refusal(one_tensor("U8", "[1]", "[4,5]"), 4), "bytes 4 to 5 of 4"));
  EXPECT_TRUE(
      holds(refusal(one_tensor("U8", "[1]", "[9223372036854775806,9223372036854775807]"), 4),
            "tensor w", "of 4"));
}

TEST_F(Safetensors, RefusesReversedOffsets) {
  EXPECT_TRUE(holds(refusal(one_tensor("U8", "[4]", "[4,0]"), 4), "tensor w", "bytes 4 to 0"));
}

TEST_F(Safetensors, RefusesASizeThatDoesNotFitTheShape) {
  EXPECT_TRUE(
      holds(refusal(one_tensor("F32", "[2]", "[0,4]"), 4), "F32 [2] takes 8", "gives it 4"));
  EXPECT_TRUE(holds(refusal(one_tensor("F32", "[]", "[0,8]"), 8), "F32 [] takes 4", "gives it 8"));
  EXPECT_TRUE(holds(refusal(one_tensor("F32", "[0]", "[0,4]"), 4), "takes 0"));
}

std::string two_tensors(const std::string& a, const std::string& b, int size = 4) {
  const std::string rest =
      R"({"dtype":"U8","shape":[)" + std::to_string(size) + R"(],"data_offsets":)";
  return "{\"a\":" + rest + a + "},\"b\":" + rest + b + "}}";
}

TEST_F(Safetensors, RefusesTensorsThatOverlap) {
  EXPECT_TRUE(holds(refusal(two_tensors("[0,4]", "[3,7]"), 7), "overlap"));
  EXPECT_TRUE(holds(refusal(two_tensors("[0,4]", "[0,4]"), 4), "overlap"));
}

TEST_F(Safetensors, RefusesBytesThatBelongToNoTensor) {
  EXPECT_TRUE(holds(refusal(two_tensors("[0,4]", "[5,9]"), 9), "between"));
  EXPECT_TRUE(holds(refusal(two_tensors("[1,5]", "[5,9]"), 9), "between"));
  EXPECT_TRUE(holds(refusal(two_tensors("[0,4]", "[4,8]"), 9), "after the last"));
  EXPECT_TRUE(holds(refusal("{}", 1), "after the last"));
}

TEST_F(Safetensors, OfAFolderMayBeNamedByOneOfItsFiles) {
  write_text(folder_ / "config.json", "{}");
  EXPECT_EQ(checkpoint_folder(folder_.path()), folder_.path());
  EXPECT_EQ(checkpoint_folder(folder_ / "config.json"), folder_.path());
  EXPECT_TRUE(holds(error_text<NotFoundError>([&] { checkpoint_folder(folder_ / "no"); }), "no"));
}

}  // namespace
}  // namespace paligemma
