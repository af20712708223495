#!/usr/bin/env bash
# Plain English in docs and in what the program says, by Vale and the rules in styles/Plain: check.sh [FILE …]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
vale=$("$here/vale.sh")
cd "$here/../.."
if [ $# = 0 ]; then
  texts=$(mktemp --suffix .md)
  trap 'rm -f "$texts"' EXIT
  "${PYTHON:-python3}" -m tools.prose.texts > "$texts"
  set -- README.md CONTRIBUTING.md SECURITY.md docs/*.md docs/decisions deploy "$texts"
fi
"$vale" --config "$here/vale.ini" --output line "$@"
