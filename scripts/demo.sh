#!/usr/bin/env bash
# `make demo`: starts the daemon in a private runtime dir and takes a cell through its life, each step printed as the
# command that a user would type, and each result checked against what the kernel says.
set -euo pipefail
cd "$(dirname "$0")/.."

release=${CARGO_TARGET_DIR:-$PWD/target}/release
cell=demo-$$
# 200 ms of CPU time in each second.
cpu_max=200000

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
title() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
fail() {
    printf '\ndemo: %s\n' "$*" >&2
    exit 1
}

# step COMMAND... - prints the command as one would type it, runs it, and keeps what it printed in $output.
step() {
    local word typed=''
    for word in "$@"; do
        # Quote only what a shell would take apart.
        if [[ $word =~ ^[A-Za-z0-9_./:=,@-]+$ ]]; then typed+=" $word"; else typed+=" '$word'"; fi
    done
    printf '%s$%s%s\n' "$bold" "$typed" "$plain"
    output=$("$@") || fail "this failed:$typed"
    if [ -n "$output" ]; then printf '%s\n' "$output"; fi
}

expect() {
    case "$output" in
    *"$1"*) ;;
    *) fail "expected \"$1\" in the output" ;;
    esac
}

# The folder of the demo's cell in the hierarchy that has the cpu controller: v2, or v1's own.
cell_folder() {
    local path mount
    if path=$(sed -n 's/^[0-9]*:\([^:]*,\)\?cpu\(,[^:]*\)\?://p' "/proc/$1/cgroup") && [ -n "$path" ]; then
        mount=$(awk '$(NF-2) == "cgroup" && $NF ~ /(^|,)cpu(,|$)/ { print $4, $5; exit }' /proc/self/mountinfo)
    else
        path=$(sed -n 's/^0:://p' "/proc/$1/cgroup")
        mount=$(awk '$(NF-2) == "cgroup2" { print $4, $5; exit }' /proc/self/mountinfo)
    fi
    # A container may have mounted a part of the hierarchy only: its root is the first field.
    local root=${mount%% *} folder=${mount#* }
    if [ "$root" != / ]; then path=${path#"$root"}; fi
    # The executable's own group is inside the cell's.
    printf '%s%s\n' "$folder" "${path%%"$cell"*}$cell"
}

microseconds() { echo $(($(date +%s%N) / 1000)); }

daemon=
runtime=
cleanup() {
    local status=$?
    trap - EXIT
    if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
        "$release/aer" cell free "$cell" >/dev/null 2>&1 || true
        kill -TERM "$daemon" 2>/dev/null || true
        # It stops by itself within its own limits; the demo does not wait longer than that.
        for _ in {1..150}; do
            kill -0 "$daemon" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
    if [ "$status" -ne 0 ] && [ -s "$runtime/log" ]; then
        echo "demo: the daemon's log:" >&2
        tail -n 20 "$runtime/log" >&2
    fi
    if [ -n "$runtime" ]; then rm -rf "$runtime"; fi
    exit "$status"
}

if [ "$(id -u)" -ne 0 ]; then
    fail "cells are cgroups, and making them needs root: sudo make demo"
fi

echo "demo: building the release (the first time takes a minute or two)"
cargo build --locked --release --quiet -p auraed

trap cleanup EXIT
trap 'exit 130' INT TERM
# Settings of the caller would change what is shown.
unset "${!AURAE_@}" RUST_LOG
runtime=$(mktemp -d -t aurae-demo.XXXXXX)
export PATH=$release:$PATH AURAE_SOCKET=$runtime/aurae.sock

title "The daemon, with its socket in a private folder"
printf '%s$ auraed -r %s &%s\n' "$bold" "$runtime" "$plain"
began=$(microseconds)
# On cgroup v2 only a cgroup of its own may hand out limits; a shell's is shared.
if [ -e /sys/fs/cgroup/cgroup.controllers ] && [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
    systemd-run --quiet --scope -p Delegate=yes auraed -r "$runtime" -l "$runtime/library" </dev/null >"$runtime/log" 2>&1 &
else
    auraed -r "$runtime" -l "$runtime/library" </dev/null >"$runtime/log" 2>&1 &
fi
daemon=$!
until [ -S "$AURAE_SOCKET" ]; do
    kill -0 "$daemon" 2>/dev/null || fail "auraed ended before it listened"
    [ $(($(microseconds) - began)) -lt 10000000 ] || fail "auraed does not listen after 10 s"
    sleep 0.001
done
start_us=$(($(microseconds) - began))
printf '$ export AURAE_SOCKET=%s\n' "$AURAE_SOCKET"

title "Is it there?"
step aer discover
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
expect "$version"
if command -v grpcurl >/dev/null; then
    title "Any gRPC client will do"
    step grpcurl -plaintext -unix "$AURAE_SOCKET" list
    expect aurae.runtime.v0.CellService
    step grpcurl -plaintext -unix "$AURAE_SOCKET" aurae.discovery.v0.DiscoveryService/Discover
    expect '"healthy": true'
else
    echo "(grpcurl is not installed: its steps are left out)"
fi

title "A cell that may use 200 ms of CPU time in each second"
step aer cell allocate "$cell" --cpu-max "$cpu_max"
title "A process in it"
began=$(microseconds)
step aer --json cell start "$cell" sleeper -- sleep 4000
exec_us=$(($(microseconds) - began))
pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' <<<"$output")
[ -n "$pid" ] || fail "start gave no pid"

title "The kernel's own view of it"
step cat "/proc/$pid/cgroup"
expect "$cell"
folder=$(cell_folder "$pid")
if [ -e "$folder/cpu.max" ]; then
    step cat "$folder/cpu.max"
else
    step cat "$folder/cpu.cfs_quota_us"
fi
expect "$cpu_max"

title "What runs here"
step aer cell list
expect "$cell"

title "The end of the process, and of the cell"
step aer cell stop "$cell" sleeper
if [ -e "/proc/$pid" ]; then fail "process $pid is still there after stop"; fi
step aer cell free "$cell"
if [ -e "$folder" ]; then fail "$folder is still there after free"; fi

rss_kb=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status")
threads=$(sed -n 's/^Threads:[^0-9]*//p' "/proc/$daemon/status")

title "And of the daemon"
printf '%s$ kill %s%s\n' "$bold" "$daemon" "$plain"
kill -TERM "$daemon"
stopped=0
wait "$daemon" || stopped=$?
[ "$stopped" -eq 0 ] || fail "auraed ended with $stopped"
if [ -e "$AURAE_SOCKET" ]; then fail "auraed left its socket behind"; fi

title "Numbers of this run"
milliseconds() { printf '%s: %d.%d ms\n' "$1" $(($2 / 1000)) $(($2 % 1000 / 100)); }
milliseconds 'auraed, from start to listening' "$start_us"
milliseconds 'aer cell start, from the command to the running process' "$exec_us"
printf 'resident memory at the end: %s KB in %s threads\n' "$rss_kb" "$threads"
printf 'size of auraed: %s KB\n' $(($(stat -c %s "$release/auraed") / 1024))
