#!/usr/bin/env bash
# Build a program from its Go module, by version: build_go.sh PACKAGE VERSION OUTPUT_DIRECTORY
# Needs Go. Prints the binary's path; does nothing when it is there already.
set -euo pipefail
package=$1 version=$2
name=${package##*/}
out=$(mkdir -p "$3" && cd "$3" && pwd)
binary=$out/$name-$version
if [ ! -x "$binary" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  CGO_ENABLED=0 GOBIN=$work go install -trimpath -ldflags "-s -w" "$package@$version" >&2
  mv "$work/$name" "$binary"
fi
echo "$binary"
