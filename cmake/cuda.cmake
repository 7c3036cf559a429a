# CUDA versions of the pieces. A leaf that has cuda/<path>.cu gets it compiled up to three times:
#
#   emulated   as C++, for the CPU (cuda/emulation/)        always
#   checked    the same, every access to memory looked at   where g++ or clang++ can
#   gpu        by nvcc                                      if there is one, and PG_CUDA is ON
#
# and its test, tests/cuda/<path>_test.cpp, linked with each of them:
#
#   ctest --preset cpu -R cuda/gemma/rms_norm       emulated/..., checked/... and gpu/cuda/gemma/rms_norm
#
# The tests of kernels of their own are .cu files, compiled likewise. Its benchmark,
# bench/cuda/<path>_bench.cpp, is linked with the GPU's kernels alone: build/cpu/bench/cuda_<path>_bench.
option(PG_CUDA "Compile the kernels for the GPU too, if there is an nvcc" ON)

# Machine code for Hopper, and PTX for every other GPU since Ampere. It must be known before CMake
# looks at nvcc, whose default has neither cp.async nor bf16.
set(PG_CUDA_ARCHITECTURES 80-virtual 90-real CACHE STRING "What the kernels are compiled for")

function(pg_cuda_find_nvcc)
  set(PG_NVCC OFF PARENT_SCOPE)
  if(NOT PG_CUDA)
    return()
  endif()
  include(CheckLanguage)
  find_package(CUDAToolkit 12.0 QUIET)
  if(CUDAToolkit_FOUND AND NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE} CACHE FILEPATH "nvcc")
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(PG_NVCC ON PARENT_SCOPE)
  else()
    message(STATUS "No nvcc: kernels are built for the emulation only")
  endif()
endfunction()

# For a piece that has kernels: cuda/<path>.cu, and further files in the folder cuda/<path>/. A file
# hopper.cu there is for that GPU alone.
function(pg_cuda_piece path)
  pg_must_exist(${path} cuda/${path}.h tests/cuda/${path}_test.cpp)
  file(GLOB kernels RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS cuda/${path}.cu cuda/${path}/*.cu)
  foreach(kernel IN LISTS kernels)
    if(kernel MATCHES "/hopper\\.cu$")
      set_property(GLOBAL APPEND PROPERTY PG_HOPPER_KERNELS ${kernel})
    else()
      set_property(GLOBAL APPEND PROPERTY PG_KERNELS ${kernel})
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY PG_CUDA_TESTS tests/cuda/${path}_test.cpp)
  if(EXISTS ${PROJECT_SOURCE_DIR}/bench/cuda/${path}_bench.cpp)
    set_property(GLOBAL APPEND PROPERTY PG_CUDA_BENCHES ${path})
  endif()
endfunction()

# Tests of what kernels and their callers stand on. The first are C++; the others have kernels of their own,
# of which EMULATED_ONLY are not for a GPU, which they would hang.
function(pg_cuda_support_test)
  foreach(path IN LISTS ARGN)
    set_property(GLOBAL APPEND PROPERTY PG_CUDA_TESTS tests/cuda/${path}_test.cpp)
  endforeach()
endfunction()

function(pg_cuda_test kind)
  foreach(path IN LISTS ARGN)
    set_property(GLOBAL APPEND PROPERTY PG_${kind}_KERNEL_TESTS tests/cuda/${path}_test.cu)
  endforeach()
endfunction()

# Links one test with one kind of kernels. `objects`: the test, compiled.
function(pg_cuda_link_test kind test objects)
  cmake_path(REMOVE_EXTENSION test OUTPUT_VARIABLE path)
  string(REGEX REPLACE "^tests/(.*)_test$" "\\1" path ${path})
  string(REPLACE "/" "_" target ${kind}_${path}_test)
  add_executable(${target} ${objects})
  target_link_libraries(${target} PRIVATE pg_cuda_model pg_cuda_${kind} paligemma_library
    pg_source_tree GTest::gtest_main)
  set(properties)
  if(kind STREQUAL gpu)
    set(properties LABELS gpu RESOURCE_LOCK gpu)
  endif()
  pg_discover_tests(${target} ${kind}/${path} 120 ${properties})
endfunction()

# The benchmark of one piece's kernels. Its main is bench/support/cuda_bench.cpp's.
function(pg_cuda_bench path)
  string(REPLACE "/" "_" target cuda_${path}_bench)
  add_executable(${target} ${PROJECT_SOURCE_DIR}/bench/cuda/${path}_bench.cpp)
  pg_compile(${target})
  target_link_libraries(${target} PRIVATE pg_cuda_bench_support)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endfunction()

# After all pieces. One folder for each compiler of .cu files: CMake keeps a source's language so.
function(pg_cuda)
  # What calls the kernels includes no CUDA: it is compiled once, and linked with either.
  add_library(pg_cuda_model STATIC cuda/paligemma/pipeline.cpp cuda/zeta/pipeline.cpp)
  pg_compile(pg_cuda_model)
  target_link_libraries(pg_cuda_model PUBLIC paligemma_library)
  add_subdirectory(cuda/emulation)
  if(PG_NVCC)
    add_subdirectory(cuda)
  endif()
endfunction()
