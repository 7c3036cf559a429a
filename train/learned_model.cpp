#include "train/learned_model.h"

#include <cstddef>
#include <map>
#include <span>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "paligemma/new_model.h"
#include "paligemma/weight_entry.h"
#include "tensor/safetensors_writer.h"
#include "tensor/write_file.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

// What is not learned is as it was, but for numbers that lie in another order.
std::vector<std::byte> bytes_of(const TensorToWrite& tensor, const WeightEntry& stored,
                                const Parameter* learned) {
  if (learned == nullptr && !stored.order) return {stored.bytes.begin(), stored.bytes.end()};
  std::vector<std::byte> bytes(tensor.bytes());
  const auto rows = static_cast<std::size_t>(stored.rows());
  const auto columns = static_cast<std::size_t>(stored.columns());
  const std::size_t stride = row_bytes(tensor.format, stored.columns());
  std::vector<float> row(columns);
  for (std::size_t i = 0; i < rows; ++i) {
    std::span<const float> numbers = row;
    if (learned != nullptr) {
      numbers = {learned->value.view().data() + i * columns, columns};
    } else {
      read_row(stored, static_cast<Index>(i), row);
    }
    write_row(numbers, tensor.format, &bytes[i * stride]);
  }
  return bytes;
}

}  // namespace

void write_learned_model(const fs::path& out, const fs::path& model, const Checkpoint& checkpoint,
                         const Config& config, const Parameters& parameters) {
  std::map<std::string, const Parameter*> learned;
  for (const Parameter& parameter : parameters.all()) learned[parameter.name] = &parameter;
  Config stored = config;
  stored.pooling_head = true;
  std::vector<TensorToWrite> tensors;
  for (const ExpectedTensor& tensor : expected_tensors(checkpoint.as_stored(stored))) {
    tensors.push_back({tensor, checkpoint.tensors().at(tensor.name).format});
  }

  NewModel written(out, true);
  written.copy_beside_weights(model);
  SafetensorsWriter file(written.weights(), tensors, checkpoint.trained());
  for (const TensorToWrite& tensor : tensors) {
    const std::string& name = tensor.tensor.name;
    file.write(bytes_of(tensor, checkpoint.tensors().at(name),
                        learned.contains(name) ? learned.at(name) : nullptr));
    if (!file.works()) break;
  }
  file.finish();
  written.finish();
}

// The weights last: a folder without them is no adapter.
void write_learned_adapter(const fs::path& out, const std::string& base, const LoraRule& rule,
                           const Parameters& parameters) {
  std::vector<TensorToWrite> tensors;
  for (const Parameter& parameter : parameters.all()) {
    tensors.push_back({{parameter.name, parameter.shape}, WeightFormat::f32});
  }
  const fs::path place = out / "adapter_model.safetensors", part = place.string() + ".part";
  std::error_code error;
  fs::create_directories(out, error);
  try {
    SafetensorsWriter file(part, tensors, true);
    for (const Parameter& parameter : parameters.all()) {
      const auto value = parameter.value.view();
      file.write(std::as_bytes(std::span(value.data(), static_cast<std::size_t>(value.count()))));
    }
    file.finish();
    write_file(out / "adapter_config.json",
               adapter_config_json(rule, parameters.adapted_layers(), base));
    fs::rename(part, place, error);
    if (error) throw std::runtime_error(place.string() + ": " + error.message());
  } catch (...) {
    fs::remove(part, error);
    throw;
  }
}

}  // namespace paligemma
