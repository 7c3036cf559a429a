#!/usr/bin/env bash
# Tests and measures the kernels on this machine's GPU, from what scripts/gpu_pack.sh packed. Ends within
# ten minutes, whatever hangs, and prints the table of measurements last. Fails if a test failed.
#
#   scripts/gpu_run.sh [gpu-results]      logs, results as JSON, table.md
set -u
mkdir -p "${1:-gpu-results}"
results=$(cd "${1:-gpu-results}" && pwd)
cd "$(dirname "$0")/.."
rm -f "$results"/*.log "$results"/*.json "$results"/{machine.txt,table.md}

failures=0
phase_ends=0
phase() {  # phase TITLE SECOND: what follows must have ended that many seconds after the start
  phase_ends=$2
  echo; echo "== $1"
}
# step NAME SECONDS COMMAND...: sets `outcome`, which is empty if the command succeeded in time
step() {
  local name=$1 limit=$2 begin=$SECONDS status=0
  shift 2
  [ $((phase_ends - SECONDS)) -lt "$limit" ] && limit=$((phase_ends - SECONDS))
  if [ "$limit" -lt 2 ]; then
    outcome="not run, no time is left"
  else
    timeout -k 2 "$limit" env PG_SOURCE_DIR="$PWD" LD_LIBRARY_PATH="$libraries" "$@" \
      > "$results/$name.log" 2>&1 || status=$?
    case $status in
      0) outcome= ;;
      124 | 137) outcome="stopped after $limit s" ;;
      *) outcome="failed ($status)" ;;
    esac
  fi
  seconds=$((SECONDS - begin))
}
say() { printf '%-52s %s\n' "$1" "$2"; }
test_step() {  # test_step NAME SECONDS PROGRAM...
  step "$@"
  local log=$results/$1.log
  if [ -n "$outcome" ]; then
    failures=$((failures + 1))
    say "$1" "FAILED: $outcome"
    [ -f "$log" ] && grep -E '^\[  FAILED  \] [A-Z]|: Failure|terminate|what\(\)' "$log" | sort -u | head -5
  elif grep -q '^\[  PASSED  \] 0 tests' "$log" && grep -q '^\[  SKIPPED \]' "$log"; then
    say "$1" "skipped: $(grep -A1 -m1 ': Skipped' "$log" | tail -1)"
  else
    say "$1" "$(grep -m1 '^\[  PASSED  \]' "$log" | sed 's/.*\] //; s/\.$//') passed, $seconds s"
  fi
}

gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1)
{
  echo "GPU: ${gpu:-none}"
  echo "driver: ${driver:-none}"
  echo "commit: $(cat COMMIT)"
  echo "date: $(date -u +%Y-%m-%d)"
} | tee "$results/machine.txt"
nvidia-smi > "$results/nvidia-smi.log" 2>&1

libraries=$PWD/lib
cublaslt=$(timeout 10 find /usr/local /usr/lib /opt -name 'libcublasLt.so.*' 2>/dev/null | head -1)
[ -n "$cublaslt" ] && libraries=$libraries:$(dirname "$cublaslt")
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)

phase "the instructions, against their definitions" 60
for program in bin/gpu_cuda_core_*_test; do test_step "$(basename "$program")" 60 "$program"; done

phase "kernels and models, against the reference" 220
for program in bin/gpu_*_test; do
  case $program in bin/gpu_cuda_core_*) continue ;; esac
  test_step "$(basename "$program")" 45 "$program"
done

phase "the tiny model, as the CPU answers" 250
if [ -z "$gpu" ]; then
  say "paligemma --device cuda" "skipped: no GPU"
else
  ask=(sh -c 'exec "$@" 2> "$0.log"' "$results/answer_errors" bin/paligemma -m models/tiny
    --image examples/pictures/scene.png -p "caption en" -n 24)
  step answer_cpu 20 "${ask[@]}" --device cpu
  step answer_cuda 20 "${ask[@]}" --device cuda
  if [ -z "$outcome" ] && cmp -s "$results/answer_cpu.log" "$results/answer_cuda.log"; then
    say "paligemma --device cuda" "the same answer"
  else
    failures=$((failures + 1))
    say "paligemma --device cuda" "FAILED: ${outcome:-another answer}, see answer_cuda.log"
  fi
fi

phase "compute-sanitizer" 360
if [ -z "$gpu" ] || [ -z "$sanitizer" ]; then
  say "compute-sanitizer" "skipped: $([ -z "$gpu" ] && echo no GPU || echo it is not here)"
else
  for piece in tensor_linear tensor_scaled_dot_product_attention tensor_softmax gemma_rms_norm core_ptx; do
    program=bin/gpu_cuda_${piece}_test
    [ -x "$program" ] || continue
    for tool in memcheck racecheck synccheck initcheck; do
      name=${tool}_$piece
      step "$name" 12 "$sanitizer" --tool "$tool" --error-exitcode 9 "$program"
      case $outcome in
        "failed (9)") failures=$((failures + 1)); say "$name" "FAILED: see $name.log" ;;
        "") say "$name" "nothing found, $seconds s" ;;
        *) say "$name" "$outcome" ;;
      esac
    done
  done
fi

phase "benchmarks" 560
for program in bin/cuda_*_bench; do
  name=$(basename "$program")
  step "$name" 45 "$program" --benchmark_out="$results/$name.json" --benchmark_out_format=json
  if [ ! -s "$results/$name.json" ]; then
    rm -f "$results/$name.json"
    say "$name" "${outcome:-$(head -1 "$results/$name.log")}"
  else
    say "$name" "${outcome:-measured, $seconds s}"
  fi
done

echo
echo "$failures failed; logs are in $results"
echo
python3 tools/gpu_table.py "$results" | tee "$results/table.md"
[ "$failures" -eq 0 ]
