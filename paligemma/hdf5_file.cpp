#include "paligemma/hdf5_file.h"

#include <dlfcn.h>

#include <chrono>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "paligemma/hdf5_module.h"
#include "tensor/child_process.h"
#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/utf8.h"
#include "tensor/what_it_is.h"

namespace paligemma {

namespace fs = std::filesystem;

namespace {

constexpr Index kMax = std::numeric_limits<Index>::max();

Json problem(const std::string& text) { return object({{"problem", text}}); }

Json described(const Hdf5Dataset& dataset) {
  return object(
      {{"path", dataset.path},
       {"dtype", dataset.dtype},
       {"shape", array_of(std::span(dataset.shape, static_cast<std::size_t>(dataset.rank)))},
       {"offset", dataset.offset >= 0 ? Json(dataset.offset) : Json()},
       {"bytes", dataset.bytes}});
}

// What libhdf5 knows of a file, or why it is not known.
Json datasets_of(const fs::path& path) {
  constexpr const char* kModule = "libpaligemma_hdf5.so";
  void* const module = dlopen(kModule, RTLD_NOW | RTLD_LOCAL);
  void* const function = module ? dlsym(module, "paligemma_hdf5_datasets") : nullptr;
  if (!function) {
    const char* const reason = dlerror();
    return problem("presets of Keras are read where the program was built with libhdf5-dev (" +
                   std::string(reason ? reason : kModule) + ")");
  }
  std::vector<Json> found;
  const char* const reason = reinterpret_cast<decltype(&paligemma_hdf5_datasets)>(function)(
      path.c_str(),
      [](void* who, const Hdf5Dataset& dataset) {
        static_cast<std::vector<Json>*>(who)->push_back(described(dataset));
      },
      &found);
  return reason ? problem(reason) : object({{"datasets", array_of(found)}});
}

std::string asked(const fs::path& path) {
  constexpr std::chrono::seconds kLimit(60);
  return last_words(
      [&](const Say& say) {
        say(problem("damaged: libhdf5 does not survive it").text());
        say(datasets_of(path).text());
      },
      kLimit);
}

// How many bytes numbers of this shape take, found step by step so that no product overflows.
Index bytes_of(const TensorEntry& entry, const std::string& where) {
  Index bytes = size_of(entry.dtype);
  for (const Index axis : entry.shape) {
    if (axis == 0)
      throw ModelFileError(where + ": the shape " + shape_text(entry.shape) + " is empty");
    if (bytes > kMax / axis) {
      throw ModelFileError(where + ": the shape " + shape_text(entry.shape) + " overflows");
    }
    bytes *= axis;
  }
  return bytes;
}

TensorEntry entry_of(const JsonFields& dataset, std::span<const std::byte> file,
                     const std::string& where) {
  const std::string type = dataset.text("dtype");
  const auto dtype = dtype_named(type);
  if (!dtype) throw ModelFileError(where + ": its numbers are " + printable(type) + ", not floats");
  TensorEntry entry{*dtype, dataset.whole_numbers("shape", kMax), {}};
  const Index bytes = bytes_of(entry, where);
  if (!dataset.has("offset")) {
    throw ModelFileError(where +
                         ": is not stored in one stretch as Keras does it; make it so: "
                         "h5repack -l CONTI -f NONE IN OUT");
  }
  const Index begin = dataset.whole("offset", kMax);
  if (dataset.whole("bytes", kMax) != bytes || bytes > std::ssize(file) - begin) {
    throw ModelFileError(where + ": " + type + " " + shape_text(entry.shape) + " at " +
                         std::to_string(begin) + " does not fit a file of " +
                         std::to_string(file.size()) + " bytes");
  }
  entry.bytes = file.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(bytes));
  return entry;
}

// What is no HDF5 file is told by its first bytes; one with something in front of it is not read.
const fs::path& checked(const fs::path& path, std::string_view bytes) {
  if (!bytes.starts_with("\x89HDF\r\n\x1a\n")) {
    const std::string found = what_it_is(bytes);
    throw ModelFileError(path.string() + ": not an HDF5 file" +
                         (found.empty() ? "" : ": looks like " + found));
  }
  return path;
}

}  // namespace

std::map<std::string, TensorEntry> parse_datasets(std::string_view said,
                                                  std::span<const std::byte> bytes,
                                                  const std::string& where) {
  const JsonFields fields(said, where);
  if (fields.has("problem")) {
    const std::string text = fields.text("problem");
    const bool is_locked = text.find("unable to lock") != text.npos;
    throw ModelFileError(where + ": " + printable(text) +
                         (is_locked ? "; a program is writing it: wait for it, or, if none is, set "
                                      "HDF5_USE_FILE_LOCKING=FALSE"
                                    : ""));
  }
  std::map<std::string, TensorEntry> found;
  for (const JsonFields& dataset : fields.objects("datasets")) {
    const std::string path = dataset.text("path");
    const std::string name = where + ": dataset " + printable(path);
    if (!found.emplace(path, entry_of(dataset, bytes, name)).second) {
      throw ModelFileError(name + " is there twice");
    }
  }
  return found;
}

Hdf5File::Hdf5File(fs::path path)
    : path_(std::move(path)),
      file_(path_),
      datasets_(
          parse_datasets(asked(checked(path_, file_.text())), file_.bytes(), path_.string())) {}

}  // namespace paligemma
