#include "bench/support/cublaslt.h"

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <tuple>

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <dlfcn.h>

namespace paligemma::bench {

// The functions that are used, by their own names and types.
struct CublasLt::Library {
  void* file = nullptr;
  std::string problem;
  cublasLtHandle_t handle = nullptr;

  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) get_heuristic = nullptr;
  decltype(&cublasLtMatmulDescCreate) create_description = nullptr;
  decltype(&cublasLtMatmulDescDestroy) destroy_description = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_in_description = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_in_preference = nullptr;

  template <class F>
  void find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(file, name));
    if (function == nullptr && problem.empty()) problem = std::string("no ") + name;
  }
  static void check(cublasStatus_t status, const char* call) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw std::runtime_error(std::string(call) + ": cuBLAS status " +
                             std::to_string(static_cast<int>(status)));
  }
};

CublasLt::CublasLt() : library_(std::make_unique<Library>()) {
  Library& lt = *library_;
  const std::string name = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
  lt.file = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (lt.file == nullptr) {
    lt.problem = name + " is not here";
    return;
  }
  lt.find(lt.create, "cublasLtCreate");
  lt.find(lt.destroy, "cublasLtDestroy");
  lt.find(lt.matmul, "cublasLtMatmul");
  lt.find(lt.get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
  lt.find(lt.create_description, "cublasLtMatmulDescCreate");
  lt.find(lt.destroy_description, "cublasLtMatmulDescDestroy");
  lt.find(lt.set_in_description, "cublasLtMatmulDescSetAttribute");
  lt.find(lt.create_layout, "cublasLtMatrixLayoutCreate");
  lt.find(lt.destroy_layout, "cublasLtMatrixLayoutDestroy");
  lt.find(lt.create_preference, "cublasLtMatmulPreferenceCreate");
  lt.find(lt.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  lt.find(lt.set_in_preference, "cublasLtMatmulPreferenceSetAttribute");
  if (lt.problem.empty() && lt.create(&lt.handle) != CUBLAS_STATUS_SUCCESS) {
    lt.problem = name + " does not start";
  }
}

CublasLt::~CublasLt() {
  if (library_->handle != nullptr) library_->destroy(library_->handle);
}

std::string CublasLt::problem() const { return library_->problem; }

double CublasLt::product_seconds(const cuda::Stream& stream, Index T, Index I, Index O) {
  constexpr std::size_t kWorkspace = 32 << 20;
  constexpr int kMostAlgorithms = 8;
  const Library& lt = *library_;
  const Copies<bf16, 2> weights(stream, {O, I}, 1);
  const auto x = random<bf16, 2>(stream, {T, I}, 2);
  cuda::DeviceBuffer<float, 2> y({T, O});
  cuda::DeviceBuffer<unsigned char, 1> workspace({kWorkspace});

  // It stores columns: our rows of W are its columns, so that y's columns [O, T] = Wᵀ x.
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t of_weights = nullptr, of_x = nullptr, of_y = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  const auto size = [](Index n) { return static_cast<std::uint64_t>(n); };
  const cublasOperation_t transposed = CUBLAS_OP_T;
  lt.check(lt.create_description(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "description");
  lt.check(
      lt.set_in_description(product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)),
      "transposition");
  lt.check(lt.create_layout(&of_weights, CUDA_R_16BF, size(I), size(O), I), "layout of W");
  lt.check(lt.create_layout(&of_x, CUDA_R_16BF, size(I), size(T), I), "layout of x");
  lt.check(lt.create_layout(&of_y, CUDA_R_32F, size(O), size(T), O), "layout of y");
  lt.check(lt.create_preference(&preference), "preference");
  lt.check(lt.set_in_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace,
                                sizeof(kWorkspace)),
           "workspace");

  std::array<cublasLtMatmulHeuristicResult_t, kMostAlgorithms> algorithms{};
  int found = 0;
  lt.check(lt.get_heuristic(lt.handle, product, of_weights, of_x, of_y, of_y, preference,
                            kMostAlgorithms, algorithms.data(), &found),
           "heuristic");
  double fastest = std::numeric_limits<double>::infinity();
  for (int a = 0; a < found; ++a) {
    if (algorithms[static_cast<std::size_t>(a)].state != CUBLAS_STATUS_SUCCESS) continue;
    const float one = 1.0f, zero = 0.0f;
    const double seconds = seconds_of(stream, weights.count(), [&](Index i) {
      lt.check(lt.matmul(lt.handle, product, &one, weights.at(i).data(), of_weights,
                         x.view().data(), of_x, &zero, y.view().data(), of_y, y.view().data(), of_y,
                         &algorithms[static_cast<std::size_t>(a)].algo, workspace.view().data(),
                         kWorkspace, stream.handle()),
               "cublasLtMatmul");
    });
    fastest = std::min(fastest, seconds);
  }
  lt.destroy_preference(preference);
  lt.destroy_layout(of_y);
  lt.destroy_layout(of_x);
  lt.destroy_layout(of_weights);
  lt.destroy_description(product);
  return std::isfinite(fastest) ? fastest : 0.0;
}

}  // namespace paligemma::bench

#else  // built without its header

namespace paligemma::bench {

struct CublasLt::Library {};
CublasLt::CublasLt() = default;
CublasLt::~CublasLt() = default;
std::string CublasLt::problem() const { return "built without cublasLt.h"; }
double CublasLt::product_seconds(const cuda::Stream&, Index, Index, Index) { return 0.0; }

}  // namespace paligemma::bench

#endif

namespace paligemma::bench {

double product_yardstick(const cuda::Stream& stream, Index T, Index I, Index O) {
  static CublasLt& library = *new CublasLt;  // never freed: the driver may be gone before it
  static std::map<std::tuple<Index, Index, Index>, double> known;
  if (!library.problem().empty()) return 0.0;
  const auto [entry, is_new] = known.try_emplace({T, I, O}, 0.0);
  if (is_new) entry->second = library.product_seconds(stream, T, I, O);
  return entry->second;
}

}  // namespace paligemma::bench
