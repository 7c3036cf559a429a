#include "train/saved_run.h"

#include <algorithm>
#include <set>
#include <span>
#include <stdexcept>

#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/paths.h"
#include "tensor/safetensors.h"
#include "tensor/safetensors_writer.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

const std::string kRun = "run", kLosses = "losses", kValidation = "validation";

// Calls of(name, numbers) for all numbers of parameters and optimizer, in the order of the file.
void for_each_tensor(auto& parameters, auto& optimizer, const auto& of) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    of(parameters[i].name, parameters[i].value.view());
    for (auto& kept : optimizer.kept()[i]) {
      of(parameters[i].name + "." + kept.name, kept.numbers.view());
    }
  }
}

// "lr 0.1, here 0.2; seed 1, here 2": the fields in which two runs differ.
std::string difference(const JsonFields& saved, const JsonFields& here) {
  const auto value = [](const JsonFields& run, const std::string& name) {
    return run.has(name) ? run.as_json(name) : "nothing";
  };
  std::set<std::string> names;
  for (const JsonFields* run : {&saved, &here}) {
    for (const std::string& name : run->names()) names.insert(name);
  }
  std::string text;
  for (const std::string& name : names) {
    const std::string was = value(saved, name), is = value(here, name);
    if (was != is) text += (text.empty() ? "" : "; ") + name + " " + was + ", here " + is;
  }
  return text;
}

// Gone in the end, unless it has got another name.
struct Part {
  fs::path path;

  ~Part() {
    std::error_code error;
    fs::remove(path, error);
  }
};

// A saved run, of which nothing is believed.
class SavedNumbers {
 public:
  explicit SavedNumbers(const fs::path& place) : file_(place) {}

  std::string where() const { return file_.path().string(); }
  const std::string& run() const {
    const auto found = file_.metadata().find(kRun);
    if (found == file_.metadata().end()) throw ModelFileError(where() + ": is no saved run");
    return found->second;
  }
  std::size_t bytes(const std::string& name) const { return entry(name).bytes.size(); }
  void read(const std::string& name, const std::vector<Index>& shape,
            std::span<std::byte> to) const {
    const TensorEntry& found = entry(name);
    if (found.dtype != DType::f32 || found.shape != shape) {
      throw ModelFileError(where() + ": " + name + " is " + std::string(name_of(found.dtype)) +
                           " " + shape_text(found.shape) + ", expected f32 " + shape_text(shape));
    }
    std::ranges::copy(found.bytes, to.begin());
  }

 private:
  const TensorEntry& entry(const std::string& name) const {
    const auto found = file_.tensors().find(name);
    if (found == file_.tensors().end()) throw ModelFileError(where() + ": lacks " + name);
    return found->second;
  }

  SafetensorsFile file_;
};

template <class Number>
std::span<Number> all_of(View<Number, 2> numbers) {
  return {numbers.data(), static_cast<std::size_t>(numbers.count())};
}

}  // namespace

fs::path saved_run_file(const fs::path& folder) { return folder / "training.safetensors"; }

void save_run(const fs::path& folder, const std::string& run, const RunState& state,
              const std::vector<Parameter>& parameters, const Optimizer& optimizer) {
  PG_CHECK(std::ssize(state.losses) == state.step,
           std::to_string(state.losses.size()) + " losses, step " + std::to_string(state.step));
  std::vector<TensorToWrite> tensors;
  const auto add = [&](const std::string& name, const std::vector<Index>& shape) {
    tensors.push_back({{name, shape}, WeightFormat::f32});
  };
  for_each_tensor(parameters, optimizer, [&](const std::string& name, auto numbers) {
    add(name, {numbers.size(0), numbers.size(1)});
  });
  add(kLosses, {state.step});
  add(kValidation, {std::ssize(state.validations), 2});

  const fs::path place = saved_run_file(folder);
  const Part part{place.string() + ".part"};
  SafetensorsWriter file(part.path, tensors, true, {{kRun, run}});
  for_each_tensor(parameters, optimizer, [&](const std::string&, auto numbers) {
    file.write(std::as_bytes(all_of(numbers)));
  });
  file.write(std::as_bytes(std::span(state.losses)));
  file.write(std::as_bytes(std::span(state.validations)));
  file.finish();
  std::error_code error;
  fs::rename(part.path, place, error);
  if (error) throw std::runtime_error(place.string() + ": " + error.message());
}

RunState load_run(const fs::path& folder, const std::string& run,
                  std::vector<Parameter>& parameters, Optimizer& optimizer) {
  const fs::path place = saved_run_file(folder);
  RunState state;
  if (!is_there(place)) return state;
  const SavedNumbers saved(place);
  const std::string other =
      difference(JsonFields(saved.run(), saved.where()), JsonFields(run, "the run"));
  if (!other.empty()) throw OtherRunError(saved.where() + ": is of another run: " + other);

  for_each_tensor(parameters, optimizer, [&](const std::string& name, auto numbers) {
    saved.read(name, {numbers.size(0), numbers.size(1)}, std::as_writable_bytes(all_of(numbers)));
  });
  state.losses.resize(saved.bytes(kLosses) / sizeof(float));
  state.step = std::ssize(state.losses);
  saved.read(kLosses, {state.step}, std::as_writable_bytes(std::span(state.losses)));
  auto& validations = state.validations;
  validations.resize(saved.bytes(kValidation) / sizeof validations[0]);
  saved.read(kValidation, {std::ssize(validations), 2},
             std::as_writable_bytes(std::span(validations)));
  return state;
}

}  // namespace paligemma
