#!/usr/bin/env bash
# Handwritten digits over two emulated microcontrollers and one Linux board, then the same run in one process: the states are
# equal to the last bit. `make demo-mcu` runs it after the set-up, which brings the emulator and the compiler if it may.
set -euo pipefail
BIN=${BIN:-.venv/bin}
OUT=${OUT:-demo}/microcontrollers
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

programs= packages=
missing() { programs="$programs${programs:+, }$1"; packages="$packages $2"; }
command -v qemu-system-arm >/dev/null || missing qemu-system-arm qemu-system-arm
if ! command -v arm-none-eabi-gcc >/dev/null; then
    missing arm-none-eabi-gcc "gcc-arm-none-eabi libnewlib-arm-none-eabi"
elif [[ $(arm-none-eabi-gcc -print-file-name=nano.specs) != */* ]]; then
    missing "the compiler's library newlib" libnewlib-arm-none-eabi
fi
if [ -n "$programs" ]; then
    echo "the demo emulates microcontrollers, and $programs is missing; install it: sudo apt-get install$packages" >&2
    exit 1
fi

step() { echo; echo "==> edgebll $*"; "$BIN/edgebll" "$@"; }

step train --data digits --network mlp --network-option width=32 --network-option depth=3 --blocks 3 --rule bll --lr 0.1 \
    --epochs 1 --batch-size 8 --seed 0 --out "$OUT/trained" --overwrite
step export "$OUT/trained" --state initial --batch-size 8 --target microcontroller --ram 64k --out "$OUT/bundle"
step simulate "$OUT/bundle" --boards 3 --microcontrollers 2 --runtime ordered --epochs 1 --out "$OUT/pipelined" --overwrite
step simulate "$OUT/bundle" --boards 0 --runtime ordered --epochs 1 --out "$OUT/alone" --overwrite

state() { sed -n 's/.*"state_sha256": "\([0-9a-f]*\)".*/\1/p' "$1/summary.json"; }
echo
if [ "$(state "$OUT/pipelined")" != "$(state "$OUT/alone")" ]; then
    echo "The states of both runs differ: $(state "$OUT/pipelined") and $(state "$OUT/alone")" >&2
    exit 1
fi
echo "Done. The blocks learned on two emulated Cortex-M4F and one Linux board; alone, this machine ends with the same state: $(state "$OUT/alone")"
