#!/usr/bin/env bash
# Build VictoriaMetrics' vmalert, to run the alert rules on records in VictoriaLogs: build.sh OUTPUT_DIRECTORY
# Needs Go. Prints the binary's path; does nothing when it is there already.
set -euo pipefail
version=v1.151.0
out=$(mkdir -p "$1" && cd "$1" && pwd)
binary=$out/vmalert-$version
if [ ! -x "$binary" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  CGO_ENABLED=0 GOBIN=$work go install -trimpath -ldflags "-s -w" "github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert@$version" >&2
  mv "$work/vmalert" "$binary"
fi
echo "$binary"
