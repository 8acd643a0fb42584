#!/usr/bin/env bash
# Makes the text that the example's base model is pretrained on, its tokenizer and its untrained weights.
#
#   eng/base-model/build.sh WORK NL2BASH
#
# WORK takes everything: packages, documents, rows and the model's start (about 1.3 GB). NL2BASH is a folder with all.nl
# and all.cm of the NL2Bash corpus (https://github.com/TellinaTool/nl2bash, data/bash; MIT). Needs Debian 12 with
# groff-base, python3 and the .NET SDK; NIBBLE names a published program to use instead of the source tree. About six
# minutes on two cores. What is pinned: packages.txt; the same packages and pairs give the same rows, byte for byte.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mkdir -p "$1" && cd "$1" && pwd)
pairs=$(cd "$2" && pwd)
val=$root/examples/nl2bash/val.jsonl

nibble() {
    if [ -n "${NIBBLE:-}" ]; then
        "$NIBBLE" "$@"
    else
        dotnet run -c Release --project "$root/src/Nibble.Cli" -- "$@"
    fi
}

if [ ! -s "$work/documents.jsonl" ]; then
    "$here/fetch.sh" "$work"
    python3 "$here/render.py" "$work/unpacked" "$work/documents.part"
    mv "$work/documents.part" "$work/documents.jsonl"
fi

python3 "$here/build.py" text "$work/documents.jsonl" "$work"
python3 "$here/build.py" pairs "$pairs" "$work"

# Nothing that is held out, and nothing near it, stays in what is trained on.
held=("$val" "$work/held-out-pairs.jsonl" "$work/eval-text.jsonl")
nibble overlap "$work/text.jsonl" --held-out "${held[@]}" --drop "$work/text.clean.jsonl"
nibble overlap "$work/pairs.jsonl" --held-out "${held[@]}" --drop "$work/pairs.clean.jsonl"
python3 "$here/build.py" join "$work"
nibble overlap "$work/joined.jsonl" --held-out "${held[@]}" --drop "$work/train.jsonl"

# The proof: exit code 1 if anything held out is left.
nibble overlap "$work/train.jsonl" --held-out "${held[@]}"

# The tokenizer learns from a quarter of the rows.
awk 'NR % 4 == 1' "$work/train.jsonl" > "$work/tokenizer-sample.jsonl"
nibble tokenizer "$work/model" "$work/tokenizer-sample.jsonl" --vocabulary 4096 --force
nibble init "$work/model" --range 0.02 --seed 42 --force
