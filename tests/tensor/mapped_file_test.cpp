#include "tensor/mapped_file.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

std::string name_at(const std::byte* address) {
  const char* path = file_at(address);
  return path ? path : "";
}

TEST(MappedFile, IsKnownByItsAddressesWhileItIsMapped) {
  const TemporaryFolder folder;
  const auto one = folder / "one", two = folder / "two\n";
  write_text(one, std::string(5000, '1'));
  write_text(two, "2");
  std::optional<MappedFile> first(one);
  const MappedFile second(two);
  const auto bytes = first->bytes();
  EXPECT_EQ(name_at(&bytes.front()), one);
  EXPECT_EQ(name_at(&bytes.back()), one);
  EXPECT_EQ(name_at(second.bytes().data()), (folder / "two\\x0a").string());
  std::byte elsewhere{};
  EXPECT_EQ(name_at(&elsewhere), "");

  std::optional<MappedFile> moved(std::move(*first));
  first.reset();
  EXPECT_EQ(name_at(&bytes.front()), one);
  moved.reset();
  EXPECT_EQ(name_at(bytes.data()), "");
}

TEST(MappedFile, ManyAreMappedWhereOnlySomeAreKnown) {
  const TemporaryFolder folder;
  write_text(folder / "file", "bytes");
  std::vector<MappedFile> files;
  for (int i = 0; i < 300; ++i) files.emplace_back(folder / "file");
  EXPECT_EQ(files.back().text(), "bytes");
  EXPECT_EQ(name_at(files.front().bytes().data()), folder / "file");
  files.clear();
  const MappedFile next(folder / "file");
  EXPECT_EQ(name_at(next.bytes().data()), folder / "file");
}

}  // namespace
}  // namespace paligemma
