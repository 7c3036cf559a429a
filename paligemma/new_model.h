// A folder with a new model, which is there whole or not at all.
//
//   NewModel model(folder);                 made, if it is not there, and locked: one run writes a folder
//   write(model.weights());                 model.safetensors
//   model.copy(other / "config.json", "config.json");
//   model.finish();
//
// Until then every file has a name with .part behind it. Without `finish` these are gone in the end, and so is
// a folder that was not there and is empty. A run that is killed leaves them; the next one writes over them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace paligemma {

class NewModel {
 public:
  // Throws std::runtime_error, as everything here does for what cannot be written, if the folder has a model
  // already or another run writes it. A model in one file may be replaced; until `finish` it is as it was.
  explicit NewModel(const std::filesystem::path& folder, bool replaces = false);
  ~NewModel();
  NewModel(const NewModel&) = delete;
  NewModel& operator=(const NewModel&) = delete;

  std::filesystem::path weights() const;
  void copy(const std::filesystem::path& from, const std::string& name);
  // Of another model's folder all that is read beside its weights, here or by transformers, and has not been
  // written yet. Throws std::runtime_error if that is this folder, or this one has a file that would change what
  // the model says.
  void copy_beside_weights(const std::filesystem::path& other);
  void write(std::string_view bytes, const std::string& name);
  void finish();

 private:
  using Paths = std::vector<std::filesystem::path>;

  NewModel(const std::filesystem::path& folder, Paths missing)
      : folder_(folder), made_(std::move(missing)) {}
  void lock();
  std::filesystem::path part_of(const std::string& name) const;

  std::filesystem::path folder_;
  Paths made_;  // what is to go, folders before what is in them
  int lock_ = -1;
};

}  // namespace paligemma
