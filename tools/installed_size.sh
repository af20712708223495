#!/usr/bin/env bash
# What the container image installs, in MiB: requirements.lock with hashes, and the package itself, in a fresh environment.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
"$work/env/bin/pip" install --quiet --disable-pip-version-check --no-deps .
"$work/env/bin/pip" uninstall --quiet --yes pip setuptools 2>/dev/null
site=$(echo "$work"/env/lib/python3*/site-packages)
find "$site" -name __pycache__ -prune -exec rm -rf {} +
du -sm --apparent-size "$site"/* | sort -rn | head -8 | sed "s|$site/||"
echo "$(du -sm --apparent-size "$site" | cut -f1) MiB in all (without bytecode)"
