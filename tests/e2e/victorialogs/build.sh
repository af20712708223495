#!/usr/bin/env bash
# Build VictoriaLogs, to ask it the queries of its dashboard: build.sh OUTPUT_DIRECTORY
# Needs Go. Prints the binary's path; does nothing when it is there already.
set -euo pipefail
version=v1.52.1
out=$(mkdir -p "$1" && cd "$1" && pwd)
binary=$out/victoria-logs-$version
if [ ! -x "$binary" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  CGO_ENABLED=0 GOBIN=$work go install -trimpath -ldflags "-s -w" "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@$version" >&2
  mv "$work/victoria-logs" "$binary"
fi
echo "$binary"
