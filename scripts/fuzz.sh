#!/usr/bin/env bash
# Builds every fuzz target, replays its committed inputs, fuzzes it for some seconds, and checks that the canary crashes.
#
#   FUZZ_SECONDS=10 scripts/fuzz.sh [TARGET...]
#
# New inputs and crashes go under the target directory, so the tree stays clean; an input worth keeping is copied to
# fuzz/corpus/TARGET (or fuzz/regress/TARGET for a crash) under a name that says what it shows.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-10}
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
scratch=$target_dir/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
# A decoder needs no more than 4 KiB to show a fault; 5 s and 512 MB are far above what any honest input takes.
limits=(-max_len=4096 -timeout=5 -rss_limit_mb=512)

# Sanitizers and coverage are unstable flags; this allows them on the toolchain that also builds the releases.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$target_dir

# run_target TARGET LOG ARGUMENT... - runs the built target, its output in LOG.
run_target() {
    local log=$2
    ASAN_OPTIONS=detect_odr_violation=0 "$target_dir/$host/release/$1" "${limits[@]}" "${@:3}" \
        >"$log" 2>&1 </dev/null
}

# crashed TARGET LOG - says what happened and how to see it again.
crashed() {
    tail -n 40 "$2"
    echo
    echo "fuzz: $1 failed; all of its output is in $2"
    sed -n 's/.*Test unit written to //p' "$2" | while read -r input; do
        echo "fuzz: see it again: RUSTC_BOOTSTRAP=1 cargo fuzz run $1 $input"
        echo "fuzz: once fixed, keep it: cp $input fuzz/regress/$1/NAME-OF-THE-BUG"
    done
    sed -n 's/^Running: //p' "$2" | tail -n 1 | sed 's/^/fuzz: the last committed input was /'
} >&2

replay() {
    local inputs=() folder
    for folder in "fuzz/corpus/$1" "fuzz/regress/$1"; do
        if [ -d "$folder" ]; then
            while IFS= read -r -d '' input; do inputs+=("$input"); done < <(find "$folder" -type f -print0 | sort -z)
        fi
    done
    # Files, not folders, make libFuzzer run each once and name it.
    if [ "${#inputs[@]}" -gt 0 ]; then
        run_target "$1" "$scratch/$1.replay.log" "-artifact_prefix=$scratch/artifacts/$1/" "${inputs[@]}" ||
            { crashed "$1" "$scratch/$1.replay.log"; return 1; }
    fi
    echo "fuzz: $1: replayed ${#inputs[@]} inputs"
}

fuzz() {
    local log=$scratch/$1.log folders=("$scratch/corpus/$1") options=()
    # libFuzzer writes to the first folder only; the committed seeds are read.
    if [ -d "fuzz/corpus/$1" ]; then folders+=("fuzz/corpus/$1"); fi
    if [ -f "fuzz/dict/$1.dict" ]; then options+=("-dict=fuzz/dict/$1.dict"); fi
    run_target "$1" "$log" "-max_total_time=$seconds" "-artifact_prefix=$scratch/artifacts/$1/" \
        -print_final_stats=1 "${options[@]}" "${folders[@]}" || { crashed "$1" "$log"; return 1; }
    echo "fuzz: $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in $seconds s, no crash"
}

# The canary holds a bug that every working fuzzer finds at once: a run without a crash means that we would miss others.
canary() {
    local log=$scratch/canary.log
    if run_target canary "$log" -max_total_time=60 "-artifact_prefix=$scratch/artifacts/canary/" "$scratch/corpus/canary"; then
        echo "fuzz: the canary did not crash in 60 s: the fuzzers would not notice a crash either; see $log" >&2
        return 1
    fi
    if ! grep -q 'Test unit written to' "$log"; then
        echo "fuzz: the canary failed, but not by a crash that libFuzzer saw; see $log" >&2
        return 1
    fi
    echo "fuzz: canary: crashed, as it must"
}

echo "fuzz: building"
cargo fuzz build >&2
if [ "$#" -gt 0 ]; then targets=("$@"); else mapfile -t targets < <(cargo fuzz list); fi
if [ "${#targets[@]}" -eq 0 ]; then
    echo "fuzz: there are no targets" >&2
    exit 1
fi

failed=()
for target in "${targets[@]}"; do
    mkdir -p "$scratch/corpus/$target" "$scratch/artifacts/$target"
    if [ "$target" = canary ]; then
        canary || failed+=("$target")
    else
        { replay "$target" && fuzz "$target"; } || failed+=("$target")
    fi
done
echo "fuzz: $((${#targets[@]} - ${#failed[@]})) of ${#targets[@]} targets as they should be"
if [ "${#failed[@]}" -gt 0 ]; then
    echo "fuzz: failed: ${failed[*]}" >&2
    exit 1
fi
