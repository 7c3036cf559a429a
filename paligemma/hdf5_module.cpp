// The datasets of an HDF5 file, by libhdf5. This is a module of its own, paligemma/hdf5_file.cpp loads it.
#include "paligemma/hdf5_module.h"

#define H5_USE_110_API  // of later releases too
#include <hdf5.h>

#include <string>
#include <vector>

namespace {

using paligemma::Hdf5Dataset;

// What libhdf5 has opened, closed behind its last use.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  // NOLINTNEXTLINE(google-explicit-constructor): as libhdf5 wants it
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// The attribute by which Keras says what two opaque bytes are.
bool is_keras_bfloat16(hid_t dataset) {
  if (H5Aexists(dataset, "dtype") <= 0) return false;
  const Handle attribute(H5Aopen(dataset, "dtype", H5P_DEFAULT), H5Aclose);
  const Handle stored(H5Aget_type(attribute), H5Tclose);
  const Handle space(H5Aget_space(attribute), H5Sclose);
  if (H5Tis_variable_str(stored) <= 0 || H5Sget_simple_extent_npoints(space) != 1) return false;
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5Tget_cset(stored));  // one is not converted to the other
  char* text = nullptr;
  if (H5Aread(attribute, type, &text) < 0 || !text) return false;
  const bool found = std::string(text) == "bfloat16";
  H5free_memory(text);
  return found;
}

std::string dtype_of(hid_t dataset) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const std::string bits = std::to_string(8 * H5Tget_size(type));
  switch (H5Tget_class(type)) {
    case H5T_FLOAT: {
      std::size_t sign = 0, exponent = 0, exponent_bits = 0, fraction = 0, fraction_bits = 0;
      H5Tget_fields(type, &sign, &exponent, &exponent_bits, &fraction, &fraction_bits);
      if (H5Tget_order(type) != H5T_ORDER_LE) return "big-endian";
      if (bits == "16" && exponent_bits == 8) return "BF16";
      return "F" + bits;
    }
    case H5T_INTEGER:
      return (H5Tget_sign(type) == H5T_SGN_NONE ? "U" : "I") + bits;
    case H5T_OPAQUE:
      return bits == "16" && is_keras_bfloat16(dataset) ? "BF16" : "opaque";
    default:
      return "of no type that Keras writes";
  }
}

std::ptrdiff_t offset_of(hid_t dataset) {
  const Handle how(H5Dget_create_plist(dataset), H5Pclose);
  if (H5Pget_layout(how) != H5D_CONTIGUOUS || H5Pget_nfilters(how) != 0) return -1;
  const haddr_t offset = H5Dget_offset(dataset);
  return offset == HADDR_UNDEF ? -1 : static_cast<std::ptrdiff_t>(offset);
}

struct Listener {
  void (*tell)(void* who, const Hdf5Dataset& dataset);
  void* who;
};

herr_t visit(hid_t file, const char* path, const H5O_info_t* info, void* listener) {
  if (info->type != H5O_TYPE_DATASET) return 0;
  const Handle dataset(H5Dopen2(file, path, H5P_DEFAULT), H5Dclose);
  const Handle space(H5Dget_space(dataset), H5Sclose);
  hsize_t axes[H5S_MAX_RANK];
  const int rank = H5Sget_simple_extent_dims(space, axes, nullptr);
  if (rank < 0) return -1;
  const std::vector<std::ptrdiff_t> shape(axes, axes + rank);
  const std::string dtype = dtype_of(dataset);
  const auto [tell, who] = *static_cast<const Listener*>(listener);
  tell(who, {path, dtype.c_str(), shape.data(), rank, offset_of(dataset),
             static_cast<std::ptrdiff_t>(H5Dget_storage_size(dataset))});
  return 0;
}

// The reason that libhdf5 gives where it first failed.
herr_t innermost(unsigned, const H5E_error2_t* error, void* text) {
  *static_cast<std::string*>(text) = error->desc ? error->desc : "";
  return 1;
}

}  // namespace

const char* paligemma_hdf5_datasets(const char* path,
                                    void (*tell)(void* who, const Hdf5Dataset& dataset),
                                    void* who) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Handle file(H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  Listener listener{tell, who};
  if (file >= 0 && H5Ovisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, visit, &listener) >= 0) {
    return nullptr;
  }
  static std::string problem;
  problem = "libhdf5 gives no reason";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &problem);
  return problem.c_str();
}
