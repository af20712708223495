#!/usr/bin/env bash
# Build Docker Compose, to check deploy/compose with its own parser: build.sh OUTPUT_DIRECTORY
# Needs Go, no Docker. Prints the binary's path; does nothing when it is there already.
set -euo pipefail
version=v2.40.3
out=$(mkdir -p "$1" && cd "$1" && pwd)
binary=$out/docker-compose-$version
if [ ! -x "$binary" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  go mod init compose-build >&2
  go get "github.com/docker/compose/v2@$version" >&2
  CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w" -o "$binary" github.com/docker/compose/v2/cmd >&2
fi
echo "$binary"
