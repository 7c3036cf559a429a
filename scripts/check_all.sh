#!/usr/bin/env bash
# Everything that is too slow for every push: what .ci/run does, a build by clang, new pieces, all deliberate
# faults, a comparison with transformers over many random checkpoints, a 64-bit ARM compilation,
# longer fuzzing, and a full-size random 3B. Takes about an hour and 12 GB of disk; needs PyPI for
# the comparison, and root for a Slurm of one node.
set -euo pipefail
cd "$(dirname "$0")/.."

.ci/run
cmake --preset clang  # it warns of other things than g++, in tests too
cmake --build --preset clang
tests/new_piece_test.sh c++ --build
tests/mutations/run.py
scripts/fuzz.sh 300
scripts/thread_sanitizer.sh

# Pictures by stb_image alone.
cmake --preset cpu -B build/no_decoders -DPG_CUDA=OFF -DPG_BENCHMARKS=OFF -DPG_PICTURE_DECODERS=OFF
cmake --build build/no_decoders --target check_processing_image_file check_processing_formats_jpeg \
  check_processing_formats_webp

# Fibers where there is no x86-64, and a processor that is none.
cmake --preset cpu -B build/ucontext -DPG_CUDA=OFF -DPG_BENCHMARKS=OFF \
  -DCMAKE_CXX_FLAGS=-DPG_FIBERS_BY_UCONTEXT
cmake --build build/ucontext
ctest --test-dir build/ucontext --output-on-failure --parallel "$(nproc)" -R '^(emulated|checked)/' -E 'Scene/'

scripts/install.sh g++-aarch64-linux-gnu
git ls-files cuda/emulation/'*.cpp' 'cuda/*.cu' |
  xargs -P "$(nproc)" -n 1 aarch64-linux-gnu-g++ -x c++ -std=c++20 -fsyntax-only -I.
git ls-files 'tensor/*.cpp' 'siglip/*.cpp' 'gemma/*.cpp' 'paligemma/*.cpp' 'processing/*.cpp' \
  'world/*.cpp' 'zeta/*.cpp' 'colpali/*.cpp' 'fast/colpali/*.cpp' 'fast/core/*.cpp' 'fast/gemma/*.cpp' 'fast/siglip/*.cpp' 'fast/tensor/*.cpp' \
  'fast/paligemma/*.cpp' fast/kernels/portable.cpp 'engine/*.cpp' |
  xargs -P "$(nproc)" -n 1 aarch64-linux-gnu-g++ -std=c++20 -fopenmp -fsyntax-only -I. \
    -idirafter /usr/include -idirafter "/usr/include/$(c++ -print-multiarch)" \
    -idirafter /usr/include/stb  # libjpeg's jconfig.h is the machine's own

venv=build/venv
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 peft==0.21.2 sentencepiece==0.2.3 \
    pillow==13.0.0 numpy==2.4.6
fi
"$venv/bin/python" tools/compare_with_transformers.py -n 100 -- --reference
"$venv/bin/python" tools/compare_decoding.py -n 50 -- --reference
"$venv/bin/python" tools/compare_adapters.py -n 40 -- --reference
"$venv/bin/python" tools/compare_training.py -n 60
"$venv/bin/python" tools/compare_training.py -n 60 --seed 1 -- --reference

scripts/check_schedulers.sh
scripts/check_3b.sh
