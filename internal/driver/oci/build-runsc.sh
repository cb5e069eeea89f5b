#!/bin/sh
# Builds the pinned runsc as a static binary: build-runsc.sh DIR puts it at
# DIR/runsc. A binary of the pinned version that is already there is kept.
#
# It must be static: runsc starts itself again from /proc/self/exe inside an
# empty root, where no dynamic loader exists.
set -eu

version=v0.0.0-20260905035102-160fafc42237
dir=${1:?usage: build-runsc.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if [ -x "$dir/runsc" ] && go version -m "$dir/runsc" 2>/dev/null | grep -q "gvisor.dev/gvisor.*$version"; then
	echo "runsc $version is built already: $dir/runsc"
	exit 0
fi

echo "building runsc $version (about a minute): $dir/runsc"
# The build happens beside the target and is renamed, so that two builds at
# once, or one that was interrupted, never leave half a binary behind.
tmp=$(mktemp -d "$dir/.runsc-XXXXXX")
trap 'rm -rf "$tmp"' EXIT INT TERM
cd "$tmp" # outside any module, so that nobody's go.mod or go.work applies
CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=mod GOBIN="$tmp" go install -ldflags="-s -w" "gvisor.dev/gvisor/runsc@$version"
mv -f "$tmp/runsc" "$dir/runsc"
