#include "tensor/what_it_is.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>

namespace paligemma {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kSave =
    "; only safetensors are read: load it with transformers and write it with save_pretrained";

struct Beginning {
  std::size_t offset;
  std::string_view bytes;
  std::string_view name, advice;
};
constexpr std::array<Beginning, 25> kBeginnings{
    {{0, "version https://git-lfs.github.com/spec/", "a Git LFS pointer",
      "; fetch the file itself: git lfs pull"},
     {0, "GGUF", "a GGUF file of llama.cpp",
      "; only safetensors are read: give the folder that it was converted from"},
     {0, "\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes",
      "; its presets are read, model.weights.h5 beside config.json"},
     {0, "\x80\x02", "a pickle of Python, as PyTorch and JAX write", kSave},
     {0, "\x80\x03", "a pickle of Python, as PyTorch and JAX write", kSave},
     {0, "\x80\x04", "a pickle of Python, as PyTorch and JAX write", kSave},
     {0, "\x80\x05", "a pickle of Python, as PyTorch and JAX write", kSave},
     {0, "\x93NUMPY", "an array of NumPy", ""},
     {0, "\x89PNG\r\n\x1a\n", "a PNG picture", ""},
     {0, "\xff\xd8\xff", "a JPEG picture", ""},
     {0, "GIF8", "a GIF picture", ""},
     {8, "WEBP", "a WebP picture", ""},
     {0, "%PDF", "a PDF document", ""},
     {0, "\x1f\x8b", "a gzip file", "; unpack it: gunzip"},
     {0, "\x28\xb5\x2f\xfd", "a Zstandard file", "; unpack it: unzstd"},
     {0, "BZh", "a bzip2 file", "; unpack it: bunzip2"},
     {0, "\xfd\x37zXZ\0"sv, "an xz file", "; unpack it: unxz"},
     {0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "; unpack it"},
     {257, "ustar", "a tar archive", "; unpack it: tar xf"},
     {0,
      "\x7f"
      "ELF",
      "a program", ""},
     {0, "\xff\xfe{\0"sv, "a JSON text in UTF-16", "; write it as UTF-8"},
     {0, "\xfe\xff\0{"sv, "a JSON text in UTF-16", "; write it as UTF-8"},
     {0, "Entry not found", "the hub's answer that there is no such file", ""},
     {0, "Invalid username or password", "the hub's answer to who is not logged in",
      "; run: hf auth login"},
     {0, "Access to model ", "the hub's answer to who has not accepted the licence",
      "; accept it on the model's page"}}};

// An archive is what its first file makes it.
std::string zip_kind(std::string_view bytes) {
  constexpr std::size_t kLengthAt = 26, kNameAt = 30;
  const auto byte = [&](std::size_t at) {
    return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0u;
  };
  const std::size_t length = byte(kLengthAt) | byte(kLengthAt + 1) << 8;
  const std::string_view name =
      bytes.size() > kNameAt ? bytes.substr(kNameAt, length) : std::string_view();
  if (name.ends_with(".npy")) {
    return "a .npz archive of NumPy, as big_vision writes" + std::string(kSave);
  }
  if (name.ends_with("data.pkl")) return "a checkpoint of PyTorch" + std::string(kSave);
  return "a ZIP archive; unpack it: unzip";
}

// "<!DOCTYPE html>", "<html lang=...", in any case and behind blanks.
bool is_html(std::string_view bytes) {
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
  std::string begin(bytes.substr(0, 14));
  std::transform(begin.begin(), begin.end(), begin.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return begin.starts_with("<html") || begin.starts_with("<!doctype html");
}

}  // namespace

std::string what_it_is(std::string_view bytes) {
  bytes = bytes.substr(0, 1024);
  if (is_html(bytes)) return "an HTML page; download the file itself, which may need a login";
  if (bytes.starts_with("PK\x03\x04")) return zip_kind(bytes);
  for (const Beginning& beginning : kBeginnings) {
    if (bytes.size() > beginning.offset &&
        bytes.substr(beginning.offset).starts_with(beginning.bytes)) {
      return std::string(beginning.name) + std::string(beginning.advice);
    }
  }
  // A header's length and a brace.
  if (bytes.size() > 8 && bytes[8] == '{' && bytes.substr(4, 4) == "\0\0\0\0"sv) {
    return "safetensors";
  }
  const bool is_zero = std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
  return bytes.size() > 8 && is_zero ? "zeros, as a download that was broken off leaves" : "";
}

}  // namespace paligemma
