#!/usr/bin/env bash
# What docs/jobs.md says of Slurm, GNU parallel and xargs, with the program and the tiny model: a Slurm of one
# node, started here and stopped again. Needs root, and scripts/demo.sh's build. Takes three minutes, most of
# which a requeued job waits.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh slurm-wlm munge parallel jq
work=$(mktemp -d)
daemons=()
clean_up() {
  for daemon in "${daemons[@]}"; do
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean_up EXIT
fail() {
  echo "check_schedulers.sh: $*" >&2
  exit 1
}

paligemma=$PWD/build/cpu/paligemma
export OMP_NUM_THREADS=1
for i in 0 1 2 3; do "$paligemma" scene --seed "$i" -o "$work/$i.png" >/dev/null; done
for i in $(seq 1 300); do
  printf '{"id": %d, "image": "%d.png", "prompt": "caption en"}\n' "$i" $((i % 4))
done >"$work/jobs.jsonl"
cd "$work"
"$paligemma" -q --jsonl jobs.jsonl --reference --out whole.jsonl

together() {  # the answers of all shards in the order of the lines
  jq -c -s 'sort_by(.line) | .[]' "$@"
}
check_whole() {
  cmp <(jq -c . whole.jsonl) <(together "$@") || fail "$1: not the answers of a single run"
}

echo "== GNU parallel"
parallel -j 2 "$paligemma" -q --jsonl jobs.jsonl --reference --shard {}/3 --out parallel-{}.jsonl ::: 0 1 2
check_whole parallel-*.jsonl

echo "== GNU parallel, terminated once, then resumed"
again=(parallel -j 2 --joblog log --resume-failed "$paligemma" -q --jsonl jobs.jsonl --reference
  --shard '{}/3' --out 'again-{}.jsonl' ::: 0 1 2)
"${again[@]}" 2>/dev/null &
sleep 1.5
kill -TERM $!
wait $! && fail "parallel was not terminated"
[ "$(cat again-*.jsonl | wc -l)" -lt 300 ] || fail "all was done before the signal"
"${again[@]}"
check_whole again-*.jsonl

echo "== xargs goes on behind a job that fails"
echo '{"image": "none.png", "prompt": "ocr"}' >bad.jsonl
code=0
printf '%s\n' bad.jsonl jobs.jsonl |
  xargs -P 1 -I{} "$paligemma" -q --jsonl {} --reference --out xargs-{} || code=$?
[ $code -eq 123 ] || fail "xargs ended with $code"
check_whole xargs-jobs.jsonl

echo "== Slurm: an array whose ids are no index"
mkdir -p slurm/state slurm/spool
host=$(hostname -s)
cat >slurm/slurm.conf <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/spool
SlurmctldPidFile=$work/slurm/slurmctld.pid
SlurmdPidFile=$work/slurm/slurmd.pid
SlurmctldPort=16817
SlurmdPort=16818
ReturnToService=2
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
CONF
export SLURM_CONF=$work/slurm/slurm.conf
slurmctld -D >slurm/slurmctld.log 2>&1 &
daemons+=($!)
slurmd -D -N "$host" >slurm/slurmd.log 2>&1 &
daemons+=($!)
for _ in $(seq 60); do
  if sinfo -h -o %t 2>/dev/null | grep -q idle; then break; fi
  sleep 0.5
done
sinfo -h -o %t | grep -q idle || fail "Slurm did not start: $(tail -n 3 slurm/*.log)"

cat >shard.sh <<JOB
#!/usr/bin/env bash
# The shard is the id's place in the list, which is what --array was given.
ids=(5 2 11)
for shard in "\${!ids[@]}"; do [ "\${ids[shard]}" = "\$SLURM_ARRAY_TASK_ID" ] && break; done
exec "$paligemma" -q --jsonl jobs.jsonl --reference --shard "\$shard/3" --out "slurm-\$shard.jsonl"
JOB
state_of() { scontrol show job "$1" -o | grep -o 'JobState=[A-Z]*' | cut -d= -f2; }
sbatch --wait -o /dev/null --array=5,2,11 shard.sh >/dev/null
check_whole slurm-*.jsonl

echo "== Slurm: terminated, it ends with 143; requeued, it goes on"
cat >whole.sh <<JOB
#!/usr/bin/env bash
trap : TERM  # so that it sees how the program ends
"$paligemma" -q --jsonl jobs.jsonl --reference --out requeued.jsonl
code=\$?
echo \$code >>codes
[ \$code -eq 0 ] || scontrol requeue "\$SLURM_JOB_ID"
JOB
id=$(sbatch --parsable --requeue --open-mode=append -o whole.log whole.sh)
while [ "$(cat requeued.jsonl 2>/dev/null | wc -l)" -lt 5 ]; do sleep 0.1; done
scancel --full --signal=TERM "$id"
until [ "$(state_of "$id")" = COMPLETED ]; do
  [ "$(state_of "$id")" != FAILED ] || fail "the job failed: $(cat whole.log)"
  sleep 1
done
[ "$(xargs <codes)" = "143 0" ] || fail "exit codes $(xargs <codes)"
cmp requeued.jsonl whole.jsonl || fail "requeued.jsonl is not whole.jsonl"
echo "all as docs/jobs.md says"
