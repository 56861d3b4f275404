#!/usr/bin/env bash
# Runs tests in a guest: a machine of qemu's with a kernel of Debian's, cgroup v2 alone, and nobody else on it.
#
#   scripts/guest.sh cargo test --test guest [NAME]   cargo, with the guest as the place where test programs run
#   scripts/guest.sh suite                            what `make test` runs, on all kernels
#   scripts/guest.sh run PROGRAM [ARGUMENT...]        cargo calls this
#   scripts/guest.sh note LIST PROGRAM [ARGUMENT...]  the suite has cargo call this: programs that share a boot
#   scripts/guest.sh boot KERNEL LIST [ARGUMENT]      and then this, with an argument for the kernel
#
# AURAE_GUEST_KERNEL=6.1|6.12 chooses the kernel, AURAE_GUEST_APPEND is added to its command line. Kernels are kept
# under the target directory. The guest is emulated, which takes 5 times as long and works everywhere.
set -euo pipefail
# Where Debian has mkfs, for users that don't.
PATH=$PATH:/usr/sbin:/sbin

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cache=$target/guest
kernels=(6.1 6.12)
# An emulated machine on a busy one; a boot takes 3 to 6 s, all tests of one kernel some minutes.
ready_s_max=90
end_s_max=900
# By which the kernel finds its root.
disk_id=61757261

# What tests call, beside the programs under test.
commands=(
    sh cat dd echo env false true ls mkdir rm rmdir mv cp ln chmod touch head tail tr wc sort seq tee yes sleep timeout uname
    stty id nproc sync stat date readlink taskset setsid unshare nsenter mount umount mountpoint findmnt hostname kill ps
    grep sed awk find fsfreeze ip ping
)

say() { echo "guest: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# Everything of this run, gone with it.
work=$(mktemp -d -t aurae-guest.XXXXXX)
cleanup() {
    # qemu, or the two that run one.
    local job
    for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# lacking KERNEL... - prints what this machine has not and guests need, a line for each.
lacking() {
    local command kernel
    if [ "$(uname -m)" != x86_64 ]; then echo "an x86_64 machine, for the kernels and the programs are of that kind"; fi
    for command in qemu-system-x86_64 mkfs.ext4 sfdisk strip ip ping ps apt-get; do
        command -v "$command" >/dev/null || echo "$command"
    done
    for kernel in "$@"; do
        if [ -z "$(kernel "$kernel")" ]; then echo "a kernel $kernel (apt-get update may help)"; fi
    done
}

# kernel VERSION - prints the path of a bootable kernel: the newest of that version that apt has, or else the cache.
kernel() {
    local folder=$cache/$1 meta=linux-image-$1-cloud-amd64 package file
    # Debian 12's own has no version in its name.
    if [ "$1" = 6.1 ]; then meta=linux-image-cloud-amd64; fi
    # It is enough to ask once a day.
    if [ -z "$(find "$folder" -name '*.vmlinuz' -mtime -1 2>/dev/null)" ]; then
        package=$(apt-cache depends "$meta" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-'"$1"'\..*\)/\1/p')
        file=$folder/$(apt-get download --print-uris "$package" 2>/dev/null | cut -d' ' -f2).vmlinuz
        if [ -z "$package" ]; then
            say "apt knows no $meta"
        elif [ -s "$file" ]; then
            touch "$file"
        else
            download "$package" "$file" || say "apt could not download $package"
        fi
    fi
    # shellcheck disable=SC2012 # The names are apt's.
    ls -t "$folder"/*.vmlinuz 2>/dev/null | head -n 1
}

# download PACKAGE FILE - has the package's kernel, and that alone, in the file.
download() {
    local folder status=0
    folder=$(mktemp -d)
    # apt gives up root for what it downloads.
    chmod 777 "$folder"
    mkdir -p "$(dirname "$2")"
    say "apt-get download $1"
    (cd "$folder" && apt-get download -qq "$1") >&2 &&
        dpkg --fsys-tarfile "$folder"/*.deb | tar -xO --wildcards './boot/vmlinuz-*' >"$folder/vmlinuz" &&
        mv "$folder/vmlinuz" "$2" || status=$?
    rm -rf "$folder"
    return "$status"
}

# A list has a line for each test program: its path, a tab, and what a shell has to do to run it.
note() {
    local list=$1
    shift
    printf '%s\tcd %s && echo "     Running %s" && %s\n' "$1" "${PWD@Q}" "${1##*/}" "${*@Q}" >>"$list"
}

# image LIST FILE - makes the guest's disk of the commands above and of the programs that the list names.
image() {
    local folder=$work/root file programs
    mkdir -p "$folder"/usr/{bin,sbin,lib,lib64} "$folder"/{dev,etc,mnt/disk,proc,root,run,sys,tmp,var/lib} "$folder$root"
    chmod 1777 "$folder/tmp"
    for file in bin sbin lib lib64; do ln -s "usr/$file" "$folder/$file"; done
    install -m 755 "$root/scripts/guest-init.sh" "$folder/init"
    script "$1" >"$folder/tests"
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$folder/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$folder/etc/group"
    for file in "${commands[@]}"; do cp -L "$(type -P "$file")" "$folder/usr/bin/$file"; done
    mapfile -t programs < <(cut -f1 "$1" | sort -u)
    # The daemon and the client, which cargo builds beside the folder of the test programs.
    programs+=("${programs[0]%/deps/*}"/{auraed,aer})
    for file in "${programs[@]}"; do
        # The same path as here: it is compiled into the tests. Without what only a debugger needs, nine tenths of it.
        install -D -s "$file" "$folder$file"
    done
    ldd "$folder"/usr/bin/* "${programs[@]}" | sed -n 's/^\t\(.* => \)\?\(\/[^ ]*\) .*/\2/p' | sort -u |
        while read -r file; do install -D "$file" "$folder$file"; done
    # A gigabyte of holes, for twenty times what is in it. In a partition, as a kernel without an initrd knows no other name
    # of a disk that is certain: since 6.12 the numbers go to whichever is found first.
    truncate -s 1G "$2"
    sfdisk -q "$2" <<<"label: dos
        label-id: 0x$disk_id
        start=1MiB, type=83"
    mkfs.ext4 -q -O ^has_journal -m 0 -E root_owner=0:0,offset=$((1 << 20)) -d "$folder" "$2" 1023M
    rm -rf "$folder"
}

# script LIST - prints what the guest's init has to do; the last failure stays in $status.
script() {
    local variable
    for variable in CI RUSTC_BOOTSTRAP "${!RUST_@}"; do
        if [ -n "${!variable:-}" ]; then echo "export $variable=${!variable@Q}"; fi
    done
    cut -f2 "$1" | sed 's/$/ || status=$?/'
}

# boot KERNEL LIST [APPEND...] - runs the list's programs in a guest, prints what they print, and returns what the last of
# them to fail did. A guest that never got as far as its first process is given a second try.
boot() {
    local file status
    file=$(kernel "$1")
    if [ -z "$file" ]; then fail "there is no Linux $1: neither apt nor $cache has it"; fi
    image "$2" "$work/root.img"
    truncate -s 128M "$work/disk.img"
    mkfs.ext4 -q -L disk "$work/disk.img"
    machine "$file" "${@:3}"
    if ! is_ready; then
        say "Linux $1 did not reach its first process, and gets a second try; its console ended in:"
        tail -n 20 "$work/console" >&2
        machine "$file" "${@:3}"
    fi
    grep -av '^guest: exit' "$work/out" || true
    status=$(sed -n 's/^guest: exit //p' "$work/out")
    if [ -z "$status" ]; then
        say "Linux $1 did not get to the end of the tests; its console ends in:"
        tail -n 40 "$work/console" >&2
        return 1
    fi
    return "$status"
}

# is_ready - whether the guest's first process has run.
is_ready() { grep -aq '^guest: ready' "$work/out"; }

# machine KERNEL [APPEND...] - one run of qemu; what the guest says is in $work/out and $work/console.
machine() {
    # Standard error of qemu is its own; the guest has the two serial lines. no_timer_check: the emulated timer is late on a
    # busy machine, and the kernel would panic.
    qemu-system-x86_64 -accel tcg -M q35 -cpu max -m 768 -smp 2 -nodefaults -display none -nic none -no-reboot \
        -kernel "$1" -append "root=PARTUUID=$disk_id-01 rootwait rw init=/init console=ttyS0 quiet panic=-1 psi=1 no_timer_check ${*:2}" \
        -drive "file=$work/disk.img,if=none,id=disk,format=raw,snapshot=on" \
        -drive "file=$work/root.img,if=none,id=root,format=raw,snapshot=on" \
        -device nvme,serial=1,id=nvme -device nvme-ns,drive=disk,nsid=1 -device nvme-ns,drive=root,nsid=2 \
        -serial "file:$work/console" -serial "file:$work/out" </dev/null >&2 &
    local qemu=$! began=$SECONDS
    while kill -0 "$qemu" 2>/dev/null; do
        sleep 0.1
        local now=$((SECONDS - began))
        if [ "$now" -ge "$end_s_max" ] || { [ "$now" -ge "$ready_s_max" ] && ! is_ready; }; then
            say "ended it after $now s"
            kill -KILL "$qemu"
        fi
    done
    wait "$qemu" 2>/dev/null || true
}

# with_runner RUNNER ARGUMENT... - cargo, with this script to run what it has built.
with_runner() {
    # As TOML, so that a path may have blanks.
    local words
    # shellcheck disable=SC2086 # The runner is several words.
    printf -v words '"%s", ' "$root/scripts/guest.sh" $1
    cargo --config "target.x86_64-unknown-linux-gnu.runner=[$words]" "${@:2}"
}

# suite - all of it: a boot for each kernel, and one for each kernel with its own command line. The kernels side by side, as
# half of the time is waiting.
suite() {
    local kernel status=0
    cargo test --locked --no-run --lib --bins --test runtime --test usage --test executables --test isolation \
        --test lifecycle --test events --test logs --test guest
    # Those that ask the kernel.
    noting common --lib -- runtime::cells runtime::cgroup runtime::logs::file runtime::logs::library sys::
    # Less its one promise of a time, which is for machines that are not emulated.
    noting common --test usage --test executables -- --skip a_list_of_a_thousand_cells
    noting common --test isolation -- --skip all_with
    noting common --test guest -- --skip disabled::
    noting disabled --test guest -- disabled::
    noting 6.1 --test runtime
    # All of them once more, and no kernel is special in it.
    noting 6.12 --test runtime -- --skip all_without_clone3
    # Less one that asks for hundreds of calls within its patience.
    noting 6.12 --test lifecycle -- --skip however_many_ends
    # Less those that ask for thousands of items or calls.
    noting 6.1 --test events -- --skip what_is_lost --skip whoever_follows
    noting 6.12 --test logs -- pipes:: whose::
    # Between the two, each controller that cells can limit with is missing once.
    lane 6.1 cpuset,memory >"$work/6.1.out" 2>&1 &
    lane 6.12 cpu,pids,io >"$work/6.12.out" 2>&1 &
    for kernel in "${kernels[@]}"; do wait -n || status=$?; done
    for kernel in "${kernels[@]}"; do cat "$work/$kernel.out"; done
    return "$status"
}

# noting LIST ARGUMENT... - puts what `cargo test` would run into the list.
noting() { with_runner "note $work/$1" test --locked "${@:2}" 2>"$work/cargo" || fail "$(cat "$work/cargo")"; }

# lane KERNEL CONTROLLERS - what the suite boots on one kernel.
lane() {
    local status=0
    cat "$work/common" >>"$work/$1"
    "$root/scripts/guest.sh" boot "$1" "$work/$1" || status=$?
    "$root/scripts/guest.sh" boot "$1" "$work/disabled" "cgroup_disable=$2" || status=$?
    return "$status"
}

case "${1:-}" in
cargo)
    lacks=$(lacking "${AURAE_GUEST_KERNEL:-6.1}")
    if [ -n "$lacks" ]; then fail "this needs ${lacks//$'\n'/, }"; fi
    with_runner run "${@:2}"
    ;;
run)
    note "$work/list" "${@:2}"
    boot "${AURAE_GUEST_KERNEL:-6.1}" "$work/list" "${AURAE_GUEST_APPEND:-}"
    ;;
note) note "${@:2}" ;;
boot) boot "${@:2}" ;;
suite)
    lacks=$(lacking "${kernels[@]}")
    if [ -z "$lacks" ]; then
        suite
    elif [ "${CI:-}" = true ]; then
        fail "CI must run these tests, and lacks ${lacks//$'\n'/, }"
    else
        echo "skipped: tests in a guest need ${lacks//$'\n'/, }"
    fi
    ;;
*)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
