#include "tensor/npz.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/npz_writer.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

const std::string kGoldenMasks = source_dir() + "/tests/golden/masks";

NpyArray parsed(const std::string& file) {
  return parse_npy(std::as_bytes(std::span(file)), "a.npy");
}

std::string refusal(const std::string& file) {
  return error_text<ModelFileError>([&] { parsed(file); });
}

std::string refused_header(const std::string& header, const std::string& data = "") {
  return refusal(npy_with(header, data));
}

class Npz : public ::testing::Test {
 protected:
  NpzFile open(const std::string& bytes) {
    write_text(path_, bytes);
    return NpzFile(path_);
  }
  std::string refusal_of(const std::string& bytes, const std::string& array = "a") {
    return error_text<ModelFileError>([&] { open(bytes).read(array); });
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "some.npz";
};

// docs/tensor/npz.md, "One array, byte by byte".
TEST(Npy, WorkedExample) {
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n";
  ASSERT_EQ(header.size(), 60u);
  const std::string file = std::string("\x93NUMPY\x01\x00\x3c\x00", 10) + header +
                           std::string("\x00\x00\x80\x3f\x00\x00\x20\xc0", 8);
  const NpyArray array = parsed(file);
  EXPECT_EQ(array.shape, (std::vector<Index>{1, 2}));
  EXPECT_EQ(array.numbers, (std::vector<float>{1.0f, -2.5f}));
}

TEST(Npy, MayBeOfVersionTwo) {
  const std::vector<Index> shape{2};
  const std::string data = bytes_of(1.0f) + bytes_of(2.0f);
  const NpyArray array = parsed(npy_with(npy_header("<f4", shape), data, 2));
  EXPECT_EQ(array.numbers, (std::vector<float>{1, 2}));
  EXPECT_TRUE(holds(refusal(npy_with(npy_header("<f4", shape), data, 3)), "versions 1 and 2"));
  EXPECT_TRUE(holds(refusal(npy_with(npy_header("<f4", shape), data, 0)), "versions 1 and 2"));
}

TEST(Npy, BecomesFloats) {
  const std::vector<Index> shape{3};
  const std::string half("\x00\x3c\x01\x00\x00\xfc", 6);  // 1, the smallest above 0, -infinity
  EXPECT_EQ(parsed(npy_with(npy_header("<f2", shape), half)).numbers,
            (std::vector<float>{1, 0x1p-24f, -INFINITY}));
  const std::string twice = bytes_of(0.1) + bytes_of(-2.5) + bytes_of(0x1p-200);
  EXPECT_EQ(parsed(npy_with(npy_header("<f8", shape), twice)).numbers,
            (std::vector<float>{0.1f, -2.5f, 0}));
}

TEST(Npy, MayHaveAnyNumberOfAxes) {
  const std::string one = bytes_of(7.0f);
  EXPECT_EQ(parsed(npy_with(npy_header("<f4", {}), one)).shape, std::vector<Index>{});
  EXPECT_EQ(parsed(npy_with(npy_header("<f4", {}), one)).numbers, std::vector<float>{7});
  const std::vector<Index> many{1, 1, 1, 1, 1, 1};
  EXPECT_EQ(parsed(npy_with(npy_header("<f4", many), one)).shape, many);
  const std::vector<Index> empty{4, 0, 100'000'000'000'000'000};
  EXPECT_TRUE(parsed(npy_with(npy_header("<f4", empty), "")).numbers.empty());
}

TEST(Npy, HeaderIsALiteralInAnyOrderAndSpacing) {
  for (const std::string header :
       {"{'shape':(1,),'fortran_order':False,'descr':'<f4'}",
        "  { 'descr' : '<f4' , 'shape' : ( 1 , ) , 'fortran_order' : False , }  \n\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}"}) {
    EXPECT_EQ(parsed(npy_with(header, bytes_of(2.0f))).numbers, std::vector<float>{2}) << header;
  }
}

TEST(Npy, RefusesAHeaderThatIsNone) {
  const std::string sound = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  const std::string four = bytes_of(1.0f);
  ASSERT_EQ(parsed(npy_with(sound, four)).numbers.size(), 1u);
  for (std::size_t size = 0; size < sound.size(); ++size) {
    EXPECT_TRUE(holds(refused_header(sound.substr(0, size), four), "a.npy: the header")) << size;
  }
  for (const std::string header :
       {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.0,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }",
        "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False}", "{'descr': '<f4', 'shape': (1,)}",
        "{'fortran_order': False, 'shape': (1,)}", "{}", "\x01\xff"}) {
    const std::string message = refused_header(header, four);
    EXPECT_TRUE(holds(message, "a.npy: the header")) << header;
    EXPECT_EQ(message.find_first_of("\x01\xff\n"), message.npos) << header;
  }
}

TEST(Npy, RefusesOtherNumbersAndOrders) {
  for (const std::string dtype : {">f4", "<i4", "|u1", "<c8", "|O", "f4", "=f4", ""}) {
    const std::vector<Index> shape{1};
    const std::string file = npy_with(npy_header(dtype, shape), bytes_of(1.0f));
    EXPECT_TRUE(holds(refusal(file), "dtype " + dtype, "<f2, <f4 and <f8")) << dtype;
  }
  EXPECT_TRUE(
      holds(refused_header("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "\0\0\0"),
            "Fortran order"));
}

TEST(Npy, RefusesASizeThatDoesNotFitItsShape) {
  const std::vector<Index> shape{2, 3};
  for (std::size_t bytes : {0, 4, 23, 25, 48}) {
    const std::string file = npy_with(npy_header("<f4", shape), std::string(bytes, '\0'));
    EXPECT_TRUE(holds(refusal(file), "takes 24 bytes", "has " + std::to_string(bytes)));
  }
  const std::vector<Index> empty{2, 0};
  const std::string file = npy_with(npy_header("<f4", empty), std::string(4, '\0'));
  EXPECT_TRUE(holds(refusal(file), "takes 0 bytes", "has 4"));
}

// 2^62 times four bytes is 2^64, which wraps to 0.
TEST(Npy, RefusesAShapeWhoseSizeOverflows) {
  const std::vector<Index> shape{Index{1} << 31, Index{1} << 31};
  EXPECT_TRUE(holds(refusal(npy_with(npy_header("<f4", shape), "")), "overflows"));
  for (const auto& with_0 : {std::vector<Index>{0, shape[0], shape[1]}, {shape[0], shape[1], 0}}) {
    EXPECT_TRUE(holds(refusal(npy_with(npy_header("<f4", with_0), "")), "overflows"));
  }
}

TEST(Npy, RefusesAFileThatIsCutOff) {
  const std::vector<Index> shape{1};
  for (char version : {'\1', '\2'}) {
    const std::string whole = npy_with(npy_header("<f4", shape), bytes_of(1.0f), version);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_TRUE(holds(refusal(whole.substr(0, size)), "a.npy: ")) << size;
    }
  }
  EXPECT_TRUE(holds(refusal("PNG"), "not a .npy file"));
  EXPECT_TRUE(holds(refusal(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 14)), "shorter"));
}

TEST_F(Npz, HoldsArraysByName) {
  NpzFile file = open(npz_of({{"a", {{2}, {1, 2}}}, {"b.weight", {{1, 1}, {3}}}}));
  EXPECT_EQ(file.path(), path_);
  ASSERT_EQ(file.arrays().size(), 2u);
  EXPECT_EQ(file.arrays().count("b.weight"), 1u);
  EXPECT_EQ(file.read("a").numbers, (std::vector<float>{1, 2}));
  EXPECT_EQ(file.read("b.weight").shape, (std::vector<Index>{1, 1}));
  EXPECT_EQ(file.read("a").numbers, (std::vector<float>{1, 2})) << "again";
}

// numpy.savez and numpy.savez_compressed.
TEST_F(Npz, MayBeStoredOrPacked) {
  NpzFile stored(kGoldenMasks + "/vae-oid.npz"), packed(kGoldenMasks + "/golden.npz");
  EXPECT_EQ(stored.read("_vq_vae._embedding").shape, (std::vector<Index>{128, 10}));
  const NpyArray values = packed.read("values");
  EXPECT_EQ(values.shape, (std::vector<Index>{3, 64, 64}));
  EXPECT_EQ(values.numbers.size(), 3u * 64 * 64);
  EXPECT_EQ(packed.read("tolerance").shape, std::vector<Index>{});
}

TEST_F(Npz, PassesOverEntriesThatAreNoArrays) {
  NpzFile file = open(zip_of({{"readme.txt", "hello"}, {"a.npy", npy_of({}, {{1}})}, {"npy", ""}}));
  EXPECT_EQ(file.arrays().size(), 1u);
}

TEST_F(Npz, NamesTheArrayThatIsMissingOrBroken) {
  EXPECT_TRUE(holds(refusal_of(npz_of({{"b", {{1}, {1}}}})), path_, "array a is missing"));
  EXPECT_TRUE(holds(refusal_of(zip_of({{"a.npy", "hello"}})), path_, "array a: not a .npy file"));
}

TEST_F(Npz, RefusesTheSameNameTwice) {
  const std::string one = npy_of({}, {{1}});
  EXPECT_TRUE(holds(refusal_of(zip_of({{"a.npy", one}, {"a.npy", one}})), "the array a twice"));
}

TEST_F(Npz, RefusesWhatIsNoArchive) {
  EXPECT_TRUE(holds(refusal_of("hello"), path_, "not a zip archive"));
  EXPECT_TRUE(holds(refusal_of(""), path_, "empty"));
  EXPECT_THROW(NpzFile(folder_ / "nowhere.npz"), NotFoundError);
  EXPECT_THROW(NpzFile(folder_.path()), ModelFileError);
}

// At every place, stored and packed.
TEST_F(Npz, RefusesAnArchiveThatIsCutOff) {
  const std::string whole = npz_of({{"a", {{2}, {1, 2}}}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal_of(whole.substr(0, size)), "") << size;
  }
}

TEST_F(Npz, RefusesNumbersThatAreNotThoseOfTheChecksum) {
  const std::string npy = npy_of({}, {{1}});
  EXPECT_TRUE(holds(refusal_of(zip_of({{"a.npy", npy, static_cast<std::uint32_t>(npy.size()), 0}})),
                    "array a: CRC error"));
}

// Both a bomb and a promise that is not kept.
TEST_F(Npz, RefusesSizesThatAreLies) {
  const std::string npy = npy_of({}, {{1}});
  EXPECT_TRUE(holds(refusal_of(zip_of({{"a.npy", npy, 0x0400'0001u, crc32(npy)}})),
                    "claims 67108865 bytes", "64 MiB"));
  const std::string file = zip_of({{"a.npy", npy, 0x0400'0000u, crc32(npy)}});
  EXPECT_TRUE(holds(refusal_of(file), "claims 67108864 bytes", "32 times"));
  for (std::uint32_t claim : {0u, 1u, 71u}) {
    EXPECT_TRUE(holds(refusal_of(zip_of({{"a.npy", npy, claim, crc32(npy)}})), "array a")) << claim;
  }
}

// The directory at the end claims one byte less than the packed array has.
TEST_F(Npz, RefusesToUnpackMoreThanIsClaimed) {
  std::string file;
  {
    std::ifstream in(kGoldenMasks + "/golden.npz", std::ios::binary);
    file.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto name = file.rfind("values.npy");
  ASSERT_NE(name, file.npos);
  const std::size_t size_at = name - 46 + 24;  // a directory entry is 46 bytes and the name
  const auto size = static_cast<std::uint32_t>(3 * 64 * 64 * 4 + 128);
  ASSERT_EQ(file.substr(size_at, 4), bytes_of(size));
  for (std::uint32_t claim : {size - 1, std::uint32_t{1}, std::uint32_t{0}, size + 1}) {
    file.replace(size_at, 4, bytes_of(claim));
    EXPECT_TRUE(holds(refusal_of(file, "values"), "array values: ")) << claim;
  }
}

}  // namespace
}  // namespace paligemma
