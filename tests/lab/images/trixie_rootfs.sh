#!/usr/bin/env bash
# A Debian 13 root file system with Python 3.13, as a tar file: made once, then taken from the cache.
# Prints the tar file's path. Needs root and debootstrap. Further packages: trixie_rootfs.sh PACKAGE…
set -euo pipefail

suite=trixie
include=$(printf '%s\n' python3 python3-venv python3-pip ca-certificates openssl make "$@" | sort -u | paste -sd,)
cache="${FALCO_LAB_CACHE:-/var/cache/falco-lab}"
key=$(printf '%s %s' "$suite" "$include" | sha256sum | cut -c1-12)
tarball="$cache/$suite-$key.tar"

mkdir -p "$cache"
exec 9>"$cache/$suite-$key.lock"
flock 9 # two runs at once make it once
if [ ! -e "$tarball" ]; then
  command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null
  root=$(mktemp -d "$cache/$suite-XXXXXX")
  trap 'rm -rf "$root"' EXIT
  chmod 755 "$root" # mktemp makes it private, and tar would keep that
  debootstrap --variant=minbase --include="$include" "$suite" "$root" >&2
  ln -s python3 "$root/usr/bin/python" # as in the images of python.org
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar --numeric-owner -C "$root" -cf "$tarball.part" .
  mv "$tarball.part" "$tarball"
fi
echo "$tarball"
