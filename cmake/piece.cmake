# pg_piece(leaf gemma/rms_norm) builds one piece from the files that carry its name:
#
#   gemma/rms_norm.{h,cpp}             the reference           target gemma_rms_norm
#   tests/gemma/rms_norm_test.cpp      its test                target gemma_rms_norm_test
#   bench/gemma/rms_norm_bench.cpp     its benchmark           build/cpu/bench/gemma_rms_norm_bench
#   docs/gemma/rms_norm.md             its page                must exist
#   diagrams/gemma/rms_norm.svg        its diagram             must exist for a leaf
#   fast/gemma/rms_norm.{h,cpp}        its fast version        tests/fast/gemma/rms_norm_test.cpp
#   cuda/gemma/rms_norm.{h,cu}         its kernels             cmake/cuda.cmake
#
# The target check_gemma_rms_norm builds all tests of the piece, and runs them.
#
# The objects of all pieces together are one archive, which the tests link.
function(pg_piece kind path)
  pg_must_exist(${path} ${path}.h docs/${path}.md tests/${path}_test.cpp)
  string(REPLACE "/" "_" target ${path})
  if(kind STREQUAL composite)
    add_library(${target} INTERFACE)
  else()
    pg_objects(${target} ${path}.cpp)
  endif()
  if(kind STREQUAL leaf)
    pg_must_exist(${path} bench/${path}_bench.cpp diagrams/${path}.svg)
  endif()
  pg_fast_piece(${path})
  if(EXISTS ${PROJECT_SOURCE_DIR}/cuda/${path}.h)
    pg_cuda_piece(${path})
  elseif(EXISTS ${PROJECT_SOURCE_DIR}/tests/cuda/${path}_test.cpp)
    pg_cuda_support_test(${path})  # of a composite
  endif()
  pg_test(${path})
  if(EXISTS ${PROJECT_SOURCE_DIR}/bench/${path}_bench.cpp)
    pg_bench(${path})
  endif()
endfunction()

# fast/<path>.h, with a source unless it is a template, and its test.
function(pg_fast_piece path)
  if(EXISTS ${PROJECT_SOURCE_DIR}/fast/${path}.cpp)
    string(REPLACE "/" "_" target fast_${path})
    pg_objects(${target} fast/${path}.cpp)
  endif()
  if(EXISTS ${PROJECT_SOURCE_DIR}/tests/fast/${path}_test.cpp)
    pg_fast_test(${path})
  endif()
endfunction()

# Tests of fast versions also run AVX-512 and AMX as written out in C++.
function(pg_fast_test)
  foreach(path IN LISTS ARGN)
    pg_test(fast/${path})
    if(PG_TESTS)
      string(REPLACE "/" "_" target fast_${path}_test)
      target_link_libraries(${target} PRIVATE fast_emulated)
    endif()
  endforeach()
endfunction()

# The same kernels, compiled for each instruction set; which one runs is chosen at run time.
function(pg_fast_kernels)
  # What each needs of the processor, which is asked for the same (fast/core/kernels.cpp).
  set(portable "")
  set(avx2 avx2 fma f16c)
  set(avx512 ${avx2} avx512f avx512bw avx512dq avx512vl avx512vnni)
  set(avx512_bf16 ${avx512} avx512bf16)
  set(amx ${avx512_bf16} amx-tile amx-bf16 amx-int8)
  set(sets portable)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND sets avx2 avx512 avx512_bf16 amx)
  endif()
  set(objects)
  set(proven $<TARGET_OBJECTS:fast_core_kernel_check> $<TARGET_OBJECTS:fast_core_learning_checks>)
  foreach(set IN LISTS sets)
    pg_objects(fast_kernels_${set} fast/kernels/${set}.cpp)
    list(APPEND proven $<TARGET_OBJECTS:fast_kernels_${set}>)
    set(targets fast_kernels_${set})
    if(PG_TESTS)  # once more without inlining, so that nothing is hidden by it
      list(APPEND targets fast_kernels_${set}_apart)
      add_library(fast_kernels_${set}_apart OBJECT fast/kernels/${set}.cpp)
      pg_compile(fast_kernels_${set}_apart)
      target_link_libraries(fast_kernels_${set}_apart PRIVATE OpenMP::OpenMP_CXX)
      target_compile_options(fast_kernels_${set}_apart PRIVATE -O0)
    endif()
    list(TRANSFORM ${set} PREPEND -m OUTPUT_VARIABLE flags)
    if(avx512f IN_LIST ${set})
      list(APPEND flags -mprefer-vector-width=512)
    endif()
    list(JOIN ${set} " " features)
    foreach(target IN LISTS targets)
      target_compile_definitions(${target} PRIVATE PG_FEATURES="${features}")
      target_compile_options(${target} PRIVATE -ffp-contract=fast ${flags}
        $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # in its own header (g++ 12, bug 105593)
      list(APPEND objects $<TARGET_OBJECTS:${target}>)
    endforeach()
  endforeach()
  # What has been proven of these objects says nothing of others.
  set(build ${PROJECT_BINARY_DIR}/generated/kernel_build.cpp)
  add_custom_command(OUTPUT ${build} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${build} "-DOBJECTS=${proven}"
            -P ${PROJECT_SOURCE_DIR}/cmake/kernel_build.cmake
    DEPENDS ${proven} ${PROJECT_SOURCE_DIR}/cmake/kernel_build.cmake)
  pg_objects(fast_kernel_build ${build})
  if(PG_TESTS)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    add_test(NAME fast/weak_symbols COMMAND Python3::Interpreter
      ${PROJECT_SOURCE_DIR}/tests/fast/weak_symbols_test.py ${objects} COMMAND_EXPAND_LISTS)
    add_library(fast_emulated OBJECT tests/fast/emulated_avx512.cpp tests/fast/emulated_amx.cpp)
    pg_compile(fast_emulated)
    target_compile_options(fast_emulated PRIVATE -ffp-contract=fast -Wno-psabi
      $<$<CONFIG:Release>:-O2>)  # a quarter of the time that it takes with -O3
    target_link_libraries(fast_emulated PUBLIC OpenMP::OpenMP_CXX)
  endif()
endfunction()

function(pg_must_exist path)
  foreach(file IN LISTS ARGN)
    if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "The piece ${path} needs ${file} (CONTRIBUTING.md says how)")
    endif()
  endforeach()
endfunction()

# Code that the pieces share and that is no piece itself.
function(pg_support)
  foreach(path IN LISTS ARGN)
    string(REPLACE "/" "_" target ${path})
    pg_objects(${target} ${path}.cpp)
  endforeach()
endfunction()

function(pg_support_test)
  foreach(path IN LISTS ARGN)
    pg_test(${path})
  endforeach()
endfunction()

function(pg_objects target)
  add_library(${target} OBJECT ${ARGN})
  pg_compile(${target})
  target_link_libraries(${target} PUBLIC OpenMP::OpenMP_CXX nlohmann_json::nlohmann_json
    PRIVATE PkgConfig::sentencepiece PkgConfig::stb PkgConfig::libzip PkgConfig::pcre2
      ${picture_libraries})
  set_property(GLOBAL APPEND PROPERTY PG_OBJECTS ${target})
endfunction()

# Where the sources lie, for programs that read files of theirs.
function(pg_source_tree)
  configure_file(cmake/source_tree.cpp.in generated/source_tree.cpp @ONLY)
  add_library(pg_source_tree OBJECT ${PROJECT_BINARY_DIR}/generated/source_tree.cpp)
  pg_compile(pg_source_tree)
endfunction()

# Includes are paths from the root; warnings are the same everywhere. No multiplication is contracted with
# the addition behind it, which g++ does by itself wherever there is an instruction for both (any 64-bit
# ARM): so the same code gives the same bits. Fast kernels ask for it again (docs/numerics.md).
function(pg_compile target)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  target_compile_options(${target} PRIVATE
    -ffp-contract=off -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)  # g++ 12 sees overlaps in "a" + string (its bug 105651)
endfunction()

# Tests, commands and whatever else only calls what computes: it compiles a third faster so, and runs as fast.
function(pg_compile_caller target)
  pg_compile(${target})
  pg_callers(${target})
endfunction()

function(pg_callers)
  foreach(target IN LISTS ARGN)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endforeach()
endfunction()

# The objects of all pieces, in one archive.
function(pg_library)
  get_property(objects GLOBAL PROPERTY PG_OBJECTS)
  add_library(paligemma_library STATIC)
  set_target_properties(paligemma_library PROPERTIES OUTPUT_NAME paligemma_pieces)
  foreach(target IN LISTS objects)
    target_sources(paligemma_library PRIVATE $<TARGET_OBJECTS:${target}>)
  endforeach()
  target_include_directories(paligemma_library PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(paligemma_library PUBLIC OpenMP::OpenMP_CXX nlohmann_json::nlohmann_json
    PRIVATE PkgConfig::sentencepiece PkgConfig::libzip PkgConfig::pcre2 ${picture_libraries})
endfunction()

# libhdf5 and what calls it, as a module that is loaded when a preset of Keras is opened: in the build by a path
# that every program here has, installed beside the library.
function(pg_hdf5_module)
  if(NOT hdf5_FOUND)
    message(STATUS "No libhdf5: presets of Keras are not read")
    return()
  endif()
  add_library(paligemma_hdf5 MODULE paligemma/hdf5_module.cpp)
  pg_compile_caller(paligemma_hdf5)
  target_link_libraries(paligemma_hdf5 PRIVATE PkgConfig::hdf5)
  set_target_properties(paligemma_hdf5 PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
  add_dependencies(paligemma_library paligemma_hdf5)
  install(TARGETS paligemma_hdf5 DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# The cases of a gtest program, named `prefix`:case. Each has `seconds` of processor time, and ten times
# that by the clock: a test that never ends is ended, and one on a busy machine is not. Memory that nobody has
# written is full of 0x7f, of floats 3.4e38, and what is freed of 0x80 (glibc's MALLOC_PERTURB_). Behind them,
# CTest's further properties.
function(pg_discover_tests target prefix seconds)
  math(EXPR timeout "10 * ${seconds}")
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests
    CROSSCOMPILING_EMULATOR  # CMake's word for what starts a test
    "env;OMP_WAIT_POLICY=passive;OMP_NUM_THREADS=2;MALLOC_PERTURB_=128;prlimit;--cpu=${seconds}:")
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 100 TEST_PREFIX ${prefix}:
    PROPERTIES TIMEOUT ${timeout} ${ARGN})
  pg_check(${prefix} ${target})
endfunction()

# check_gemma_rms_norm builds and runs gemma/rms_norm's test, its fast version's, and its kernels', emulated, checked
# and for the GPU: whatever is named gemma/rms_norm:case behind fast/, cuda/ and the kind of kernels.
function(pg_check prefix target)
  string(REGEX REPLACE "^(fast|(emulated|checked|gpu)/cuda)/" "" path ${prefix})
  string(REPLACE "/" "_" check check_${path})
  if(NOT TARGET ${check})
    add_custom_target(${check} USES_TERMINAL VERBATIM COMMAND ${CMAKE_CTEST_COMMAND}
      --test-dir ${PROJECT_BINARY_DIR} --output-on-failure --no-tests=error -R "(^|/)${path}:")
  endif()
  add_dependencies(${check} ${target})
endfunction()

# The test tests/<path>_test.cpp. A case may take 120 seconds, or as many as are given, behind which stand CTest's further
# properties of all cases.
function(pg_test path)
  if(NOT PG_TESTS)
    return()
  endif()
  set(seconds 120)
  if(ARGC GREATER 1)
    set(seconds ${ARGV1})
    list(POP_FRONT ARGN)
  endif()
  string(REPLACE "/" "_" target ${path}_test)
  add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/${path}_test.cpp)
  pg_compile_caller(${target})
  target_compile_options(${target} PRIVATE ${PG_TEST_FLAGS})  # half of the time that GoogleTest takes there
  target_link_libraries(${target} PRIVATE paligemma_library pg_source_tree GTest::gtest_main)
  pg_discover_tests(${target} ${path} ${seconds} ${ARGN})
endfunction()

function(pg_bench path)
  if(NOT PG_BENCHMARKS)
    return()
  endif()
  string(REPLACE "/" "_" target ${path})
  add_executable(${target}_bench bench/${path}_bench.cpp)
  pg_compile(${target}_bench)
  target_link_libraries(${target}_bench PRIVATE paligemma_library pg_source_tree
    benchmark::benchmark_main)
  set_target_properties(${target}_bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY bench)
endfunction()

# OpenBLAS and oneDNN beside a piece's products, where they are installed.
function(pg_bench_peers path)
  if(NOT PG_BENCHMARKS)
    return()
  endif()
  string(REPLACE "/" "_" target ${path}_bench)
  target_sources(${target} PRIVATE bench/support/peers.cpp)
  find_package(OpenBLAS QUIET HINTS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-pthread)
  if(OpenBLAS_FOUND)
    target_compile_definitions(${target} PRIVATE PG_OPENBLAS)
    target_include_directories(${target} SYSTEM PRIVATE ${OpenBLAS_INCLUDE_DIRS})
    target_link_libraries(${target} PRIVATE ${OpenBLAS_LIBRARIES})
  endif()
  find_library(PG_DNNL dnnl)  # its package asks for OpenCL's headers
  if(PG_DNNL)
    target_compile_definitions(${target} PRIVATE PG_ONEDNN)
    target_link_libraries(${target} PRIVATE ${PG_DNNL})
  endif()
endfunction()
