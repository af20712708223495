#!/usr/bin/env bash
# A Debian root file system with its Python (trixie: 3.13; forky: 3.14), as a tar file: made once, then taken from the cache.
# Prints the tar file's path. Needs root and mmdebstrap. debian_rootfs.sh SUITE [PACKAGE…]
set -euo pipefail

suite=$1
shift
include=$(printf '%s\n' python3 python3-venv python3-pip ca-certificates openssl make "$@" | sort -u | paste -sd,)
cache="${FALCO_LAB_CACHE:-/var/cache/falco-lab}"
key=$(printf '%s %s' "$suite" "$include" | sha256sum | cut -c1-12)
tarball="$cache/$suite-$key.tar"

mkdir -p "$cache"
exec 9>"$cache/$suite-$key.lock"
flock 9 # two runs at once make it once
if [ ! -e "$tarball" ]; then
  command -v mmdebstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mmdebstrap >/dev/null
  root=$(mktemp -d "$cache/$suite-XXXXXX")
  trap 'rm -rf "$root"' EXIT
  chmod 755 "$root" # mktemp makes it private, and tar would keep that
  # A mirror of testing may lag behind its Release file's expiry; its signature is checked all the same.
  mmdebstrap --mode=root --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
    --include="$include" "$suite" "$root/root" >"$root/log" 2>&1 || {
    tail -n 20 "$root/log" >&2
    exit 1
  }
  ln -s python3 "$root/root/usr/bin/python" # as in the images of python.org
  rm -rf "$root"/root/var/cache/apt/archives/*.deb "$root"/root/var/lib/apt/lists/*
  tar --numeric-owner -C "$root/root" -cf "$tarball.part" .
  mv "$tarball.part" "$tarball"
fi
echo "$tarball"
