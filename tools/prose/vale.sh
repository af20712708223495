#!/usr/bin/env bash
# Print the path of Vale: $VALE, the one on PATH, or one built with Go into the user's cache.
set -euo pipefail
version=v3.7.1
vale=${VALE:-$(command -v vale || true)}
if [ -z "$vale" ]; then
  vale=${XDG_CACHE_HOME:-$HOME/.cache}/vale/vale-$version
  if [ ! -x "$vale" ]; then
    command -v go >/dev/null || { echo "The prose check needs Vale: install it (https://vale.sh), or Go and a C compiler, or set VALE to its path." >&2; exit 1; }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    CGO_ENABLED=1 GOBIN=$work go install -trimpath "github.com/errata-ai/vale/v3/cmd/vale@$version" >&2
    mkdir -p "${vale%/*}"
    mv "$work/vale" "$vale"
  fi
fi
echo "$vale"
