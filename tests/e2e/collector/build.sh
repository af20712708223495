#!/usr/bin/env bash
# Build the OpenTelemetry Collector of manifest.yaml: build.sh OUTPUT_DIRECTORY
# Needs Go. Prints the binary's path; does nothing when it is there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
version=$(sed -n 's/^  version: //p' "$here/manifest.yaml")
binary=$out/otelcol-test-$version-$(sha256sum "$here/manifest.yaml" | cut -c1-12)
if [ ! -x "$binary" ]; then
  GOBIN="$out" go install "go.opentelemetry.io/collector/cmd/builder@v$version" >&2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp "$here/manifest.yaml" "$work/manifest.yaml"
  (
    cd "$work"
    # Only generate: the builder's own `go mod tidy` would fetch what merely the components' tests need.
    "$out/builder" --config manifest.yaml --skip-get-modules --skip-compilation >&2
    cd sources
    go mod init otelcol-test
    go mod edit -require="go.opentelemetry.io/collector/otelcol@v$version"
    sed -n 's/^ *- gomod: \([^ ]*\) \(.*\)$/-require=\1@\2/p' ../manifest.yaml | xargs go mod edit
    CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w" -o otelcol-test . >&2
  )
  built=$(find "$work" -type f -name otelcol-test -perm -u+x | head -n 1)
  mv "$built" "$binary"
fi
echo "$binary"
