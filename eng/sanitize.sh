#!/usr/bin/env bash
# Looks for races and stray accesses in the kernels of this repository, on a machine with a GPU and compute-sanitizer.
#
#   eng/sanitize.sh [NIBBLE]
#   TOOLS=racecheck OPS="Attention MatMul" LIMIT=60 eng/sanitize.sh
#
# NIBBLE is the published program (default publish/gpu/nibble, which eng/gpu.sh makes). Runs, each without evaluation:
#   head64   one QLoRA step of the example model, heads of 64, dropout
#   head128  one QLoRA step of a new model with heads of 128, dropout, sequences of several tiles
#   full     one step of every parameter of that model
#   ops-*    the op cases
# Only kernels of src/Nibble.Cuda are instrumented, and under racecheck cuBLASLt's nvjet kernels, one launch at a time:
# the tool (2025.3) fails when those run uninstrumented, or beside others. What it says of them is counted and not
# judged: they hand shared memory over in ways that it does not follow. TOOLS, OPS and LIMIT (seconds a run) narrow the
# runs; logs go to $LOGS or a temporary folder. Exits 1 when a tool reports anything of ours, or a run does not get to
# its end.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${TOOLS:-racecheck,memcheck}
ops=${OPS-Attention MatMul Linear RmsNorm CrossEntropy AdamW Quantize Embedding ColumnSum SwiGlu Rope}
limit=${LIMIT:-300}
nibble=${1:-publish/gpu/nibble}
work=$(mktemp -d)
logs=${LOGS:-$work}
trap 'rm -rf "$work/model" "$work/out"' EXIT

names=$(grep -rhoE '__global__[^(]*(\([^)]*\))?[^(]*\(' src/Nibble.Cuda/Ops --include='*.cu' \
    | sed -E 's/.*[ *]([a-z0-9_]+)\($/\1/' | sort -u)
filter=$(sed 's/^/kne=/' <<<"$names" | paste -sd, -)
ours=" at ($(paste -sd'|' <<<"$names"))\\+"
echo "$(wc -l <<<"$names") kernels"

python3 - "$work/rows.jsonl" <<'PY'
import json, sys
with open(sys.argv[1], "w", encoding="utf-8") as f:
    for words in (3, 24, 12, 5):
        question = " ".join(f"list file{i}.txt" for i in range(words))
        rows = [{"role": "user", "content": question}, {"role": "assistant", "content": "ls -l file0.txt"}]
        f.write(json.dumps({"messages": rows}) + "\n")
PY
mkdir -p "$work/model" "$work/out"
cp examples/nl2bash/model/tokenizer*.json "$work/model/"
"$nibble" init "$work/model" --hidden 512 --mlp 768 --layers 2 --heads 4 --kv-heads 2 --head-dim 128 > /dev/null
cat > "$work/full.yml" <<YAML
base_model: $work/model
datasets:
  - path: $work/rows.jsonl
    type: chat_template
sequence_len: 2048
micro_batch_size: 4
gradient_accumulation_steps: 1
max_steps: 1
optimizer: adamw_8bit
learning_rate: 0.0005
seed: 42
YAML

run=(--datasets.0.path "$work/rows.jsonl" --max_steps 1 --sequence_len 2048 --save_strategy no --device cuda --plain)
adapter=(train examples/nl2bash/qlora.yml --test_datasets null --eval_steps null --save_steps null
    --save_total_limit null "${run[@]}")
failed=0

# One run under each tool, in its own log. It is ended where the adapter is validated: that generates token by token,
# which takes minutes under a tool.
check() {
    local name=$1 tool log found others options started pid
    shift
    for tool in ${tools//,/ }; do
        log=$logs/$tool-$name.txt
        started=$SECONDS
        options=(--kernel-name "$filter")
        [ "$tool" != racecheck ] || options=(--kernel-name "$filter,kns=nvjet" --force-blocking-launches)
        setsid timeout "$limit" compute-sanitizer --tool "$tool" "${options[@]}" "$nibble" "$@" > "$log" 2>&1 &
        pid=$!
        while kill -0 "$pid" 2> /dev/null; do
            if grep -q '^writing and validating' "$log"; then
                kill -TERM -- "-$pid" 2> /dev/null || true
            fi
            sleep 0.3
        done
        wait "$pid" 2> /dev/null || true
        if [ "$tool" = racecheck ]; then
            found=$(grep -cE "access$ours|Internal Sanitizer Error" "$log" || true)
        else
            fault='^========= +(Invalid|Program hit|Misaligned|Leaked|Error|Internal|Barrier|Uninit)'
            found=$(grep -cE "$fault" "$log" || true)
        fi
        if [ "$found" -eq 0 ] && grep -qE '^writing and validating|cases agree' "$log"; then
            others=$(grep -c 'Race reported' "$log" || true)
            echo "ok   $tool $name, $((SECONDS - started)) s; $others reports of other kernels"
        else
            echo "FAIL $tool $name, $((SECONDS - started)) s, $found findings: $log"
            grep -E '^=========|^error' "$log" | head -20 || true
            failed=1
        fi
    done
}

# A run and, before it, the same without a tool: product kernels are timed when they are first needed, which takes long
# under one, and remembered.
step() {
    local name=$1
    shift
    "$nibble" "$@" --output_dir "$work/out/plain-$name" > "$logs/plain-$name.txt" 2>&1 || true
    check "$name" "$@" --output_dir "$work/out/$name"
}

step head64 "${adapter[@]}"
step head128 "${adapter[@]}" --base_model "$work/model"
step full train "$work/full.yml" "${run[@]}"
for op in $ops; do
    check "ops-$op" selftest --device cuda --filter "$op" --plain
done
exit "$failed"
