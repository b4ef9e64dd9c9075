#!/usr/bin/env bash
# The main job on real data: train, export, verify, pipeline over four boards, evaluate. `make demo` runs it after the set-up.
set -euo pipefail
BIN=${BIN:-.venv/bin}
OUT=${OUT:-demo}
DATA=fashion-mnist
# Small networks gain nothing from more threads than this machine has to spare.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

if ! "$BIN/edgebll" data list --json | grep -A3 '"fashion-mnist"' | grep -q '"found": true'; then
    echo "Fashion-MNIST is not on this machine. To get it: apt install dataset-fashion-mnist, or $BIN/edgebll data fetch fashion-mnist"
    echo "Going on with scikit-learn's digits."
    DATA=digits
fi

step() { echo; echo "==> edgebll $*"; "$BIN/edgebll" "$@"; }

step train --data "$DATA" --network resnet8 --blocks 4 --rule bll --epochs 1 --batch-size 64 --seed 0 --out "$OUT/trained" --overwrite
step export "$OUT/trained" --out "$OUT/bundle"
step verify "$OUT/bundle"
step simulate "$OUT/bundle" --data "$DATA" --epochs 1 --boards 4 --out "$OUT/pipelined" --overwrite
step eval "$OUT/trained" --data "$DATA"
step eval "$OUT/pipelined" --data "$DATA"
echo
echo "Done. Look at $OUT/pipelined: summary.json, metrics.jsonl, curves.png, timeline.png, and timeline.json for https://ui.perfetto.dev"
