#include "tensor/what_it_is.h"

#include <gtest/gtest.h>

#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;
using namespace std::string_view_literals;

TEST(WhatItIs, IsToldByTheFirstBytes) {
  const std::pair<std::string_view, const char*> all[] = {
      // As git and the hub's web pages leave them.
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n",
       "git lfs pull"},
      {"<!DOCTYPE html>\n<html>", "HTML"},
      {"\xef\xbb\xbf \n<!doctype HTML>", "HTML"},
      {"<HTML lang=\"en\">", "HTML"},
      {"Entry not found", "no such file"},
      {"Invalid username or password.", "hf auth login"},
      {"Access to model google/paligemma-3b-pt-224 is restricted.", "licence"},
      // As torch 2.13 (today's and its legacy format) and NumPy 2.4 begin their files.
      {"GGUF\3\0\0\0"sv, "GGUF"},
      {"PK\3\4\0\0\10\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x12\0archive/data.pkl"sv,
       "PyTorch"},
      {"\x80\2\x8a\nl\xfc\x9c"sv, "pickle"},
      {"PK\3\4-\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0a.npyrest"sv, ".npz"},
      {"PK\3\4-\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0a.txtrest"sv, "ZIP"},
      {"PK\3\4", "ZIP"},
      {"\x93NUMPY\1\0", "NumPy"},
      {"\x89HDF\r\n\x1a\n\0"sv, "HDF5"},
      {"\xff\xd8\xff\xe0", "JPEG"},
      {"\x89PNG\r\n\x1a\n", "PNG"},
      {"RIFF\1\0\0\0WEBPVP8 "sv, "WebP"},
      {"\x1f\x8b\x08", "gunzip"},
      {"\xff\xfe{\0"sv, "UTF-16"},
      {"\x10\0\0\0\0\0\0\0{\"a\":"sv, "safetensors"},
      {"\0\0\0\0\0\0\0\0\0"sv, "zeros"}};
  for (const auto& [bytes, word] : all) EXPECT_TRUE(holds(what_it_is(bytes), word)) << bytes;
  EXPECT_TRUE(holds(what_it_is(std::string(257, 'a') + "ustar"), "tar"));
}

TEST(WhatItIs, IsNothingThatNobodyRecognises) {
  for (const std::string_view bytes : {""sv, "{"sv, "{\"model_type\": \"paligemma\"}"sv, "P"sv,
                                       "PK"sv, "hello"sv, "<svg"sv, "\0\0\0\1"sv}) {
    EXPECT_EQ(what_it_is(bytes), "") << bytes;
  }
}

}  // namespace
}  // namespace paligemma
