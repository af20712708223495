#!/usr/bin/env bash
# Plain English in docs and in what the program says, by Vale and the rules in styles/Plain: check.sh [FILE …]
# Takes Vale from $VALE, from PATH, or builds it with Go into the user's cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
version=v3.7.1
vale=${VALE:-$(command -v vale || true)}
if [ -z "$vale" ]; then
  vale=${XDG_CACHE_HOME:-$HOME/.cache}/vale/vale-$version
  if [ ! -x "$vale" ]; then
    command -v go >/dev/null || { echo "The prose check needs Vale: install it (https://vale.sh) or Go, or set VALE to its path." >&2; exit 1; }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    CGO_ENABLED=0 GOBIN=$work go install -trimpath "github.com/errata-ai/vale/v3/cmd/vale@$version" >&2
    mkdir -p "${vale%/*}" && mv "$work/vale" "$vale"
  fi
fi
cd "$root"
if [ $# = 0 ]; then
  texts=$(mktemp --suffix .md)
  trap 'rm -f "$texts"; [ -z "${work:-}" ] || rm -rf "$work"' EXIT
  "${PYTHON:-python3}" -m tools.prose.texts > "$texts"
  set -- README.md CONTRIBUTING.md SECURITY.md docs/*.md docs/decisions deploy "$texts"
fi
"$vale" --config "$here/vale.ini" --output line "$@"
