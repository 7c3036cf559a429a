#include "tensor/safetensors_writer.h"

#include <stdexcept>

#include "tensor/json.h"

namespace paligemma {
namespace {

std::string_view dtype_in_file(WeightFormat format) {
  if (format == WeightFormat::bf16) return "BF16";
  if (format == WeightFormat::f16) return "F16";
  return is_quantized(format) ? "U8" : "F32";
}

// As the file has it.
std::vector<Index> shape_in_file(const TensorToWrite& tensor) {
  const std::vector<Index>& shape = tensor.tensor.shape;
  return with_format(tensor.format, [&]<class Real>(Real) -> std::vector<Index> {
    if constexpr (!Quantized<Real>) return shape;
    return {shape[0], blocks_of(shape[1]), Index{sizeof(Real)}};
  });
}

}  // namespace

std::size_t TensorToWrite::bytes() const {
  std::size_t count = with_format(format, [](auto number) {
    return Quantized<decltype(number)> ? std::size_t{1} : sizeof number;
  });
  for (const Index axis : shape_in_file(*this)) count *= static_cast<std::size_t>(axis);
  return count;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     const std::vector<TensorToWrite>& tensors, bool trained,
                                     const Metadata& others)
    : path_(path), file_(path, std::ios::binary) {
  std::vector<Field> metadata{{"format", "pt"}};
  if (!trained) metadata.push_back({"trained", "false"});
  for (const auto& [name, text] : others) metadata.push_back({name, text});
  std::vector<Field> fields{{"__metadata__", object(metadata)}};
  for (const TensorToWrite& tensor : tensors) {
    const std::size_t begin = bytes_;
    bytes_ += tensor.bytes();
    fields.push_back({tensor.tensor.name, object({{"dtype", dtype_in_file(tensor.format)},
                                                  {"shape", array_of(shape_in_file(tensor))},
                                                  {"data_offsets", array({begin, bytes_})}})});
  }
  std::string header = object(fields).text();
  header.append((64 - (header.size() + 8) % 64) % 64, ' ');
  const std::uint64_t length = header.size();
  begin_ = sizeof length + header.size();
  file_.write(reinterpret_cast<const char*>(&length), sizeof length);
  file_ << header;
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  file_.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
}

void SafetensorsWriter::leave_hole() {
  file_.flush();
  std::error_code error;
  std::filesystem::resize_file(path_, begin_ + bytes_, error);
  if (error) file_.setstate(std::ios::failbit);
}

void SafetensorsWriter::finish() {
  file_.close();
  if (file_.fail()) throw std::runtime_error(path_.string() + ": cannot be written");
}

}  // namespace paligemma
