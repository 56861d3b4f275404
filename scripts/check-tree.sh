#!/usr/bin/env bash
# Checks what cargo-deny can't: that the daemon compiles tokio's traits only, and nothing of tonic. The tree is that of
# the daemon alone (-p), since a build of more than that unifies the features of all.
set -euo pipefail
cd "$(dirname "$0")/.."

forbidden=(fs macros net process rt rt-multi-thread signal time full)

tree() { cargo tree --locked -p auraed -e "$1" --prefix none "${@:2}"; }

used=$(tree no-dev,features -i tokio | sed -n 's/^tokio feature "\([^"]*\)".*/\1/p' | sort -u)
# An empty list would mean that the form of cargo's answer has changed, or that tokio is gone: both want a look here.
if [ -z "$used" ]; then
    echo "check-tree: cargo tree names no feature of tokio; adapt scripts/check-tree.sh" >&2
    exit 1
fi

status=0
for feature in "${forbidden[@]}"; do
    if grep -qx "$feature" <<<"$used"; then
        echo "check-tree: the daemon's tree enables tokio's feature \"$feature\". Who does:" >&2
        tree no-dev,features -i tokio | grep -A2 "^tokio feature \"$feature\"" >&2
        status=1
    fi
done
if tree no-dev | grep '^tonic'; then
    echo "check-tree: tonic is in the daemon's tree" >&2
    status=1
fi
exit "$status"
