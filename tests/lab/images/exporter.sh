#!/usr/bin/env bash
# Build the project's image from its Dockerfile with buildah and write it as a docker-archive; prints the file's path.
# exporter.sh TAG. No registry is asked: a Debian 13 root file system, whose Python is 3.13, stands for python:3.13-slim.
# Needs root, buildah and mmdebstrap. Does nothing where the image of this tree is there already.
set -euo pipefail
cd "$(dirname "$0")/../../.."

tag=${1:?name the tag, for example falco-report-exporter:lab}
cache=${FALCO_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/falco-lab}
export FALCO_LAB_CACHE=$cache
context=(Dockerfile .dockerignore requirements.lock pyproject.toml README.md LICENSE exporter)
key=$(find "${context[@]}" -type f ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum |
  cat - <(echo "$tag") tests/lab/images/*.sh | sha256sum | cut -c1-12)
image=$cache/exporter-$key.tar

mkdir -p "$cache"
exec 9>"$cache/.exporter" # one at a time: the second finds it built
flock 9
if [ ! -e "$image" ]; then
  buildah() { command buildah --root "$cache/buildah" --runroot "$cache/buildah-run" "$@"; }
  # What earlier trees left makes this one quick, up to a size.
  [ ! -d "$cache/buildah" ] || [ "$(du -s --block-size=1G "$cache/buildah" | cut -f1)" -lt 5 ] ||
    buildah rmi --all --force >/dev/null
  rootfs=$(tests/lab/images/debian_rootfs.sh trixie)
  base=$(basename "$rootfs" .tar)
  if ! buildah inspect --type image "localhost/$base" >/dev/null 2>&1; then
    container=$(buildah from --quiet scratch)
    buildah add --quiet "$container" "$rootfs" / >&2
    buildah config --cmd python3 "$container"
    buildah commit --quiet --rm "$container" "localhost/$base" >&2
  fi
  buildah tag "localhost/$base" docker.io/library/python:3.13-slim
  # What pip needs to reach a package index from here; mounted while it builds, so that none of it is in the image.
  mounts=()
  for file in "${PIP_CONFIG_FILE:-/etc/pip.conf}" "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" /etc/resolv.conf; do
    if [ -f "$file" ]; then
      mounts+=(--volume "$(readlink -f "$file"):$file:ro")
    fi
  done
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  buildah bud --pull-never --isolation chroot --network host --format docker --layers "${mounts[@]}" --tag "$tag" . \
    >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    exit 1
  }
  buildah push --quiet "$tag" "docker-archive:$image.part:$tag" >&2
  mv "$image.part" "$image"
  find "$cache" -maxdepth 1 -name 'exporter-*.tar' -printf '%T@ %p\n' | sort -rn | tail -n +4 | cut -d' ' -f2- |
    xargs -r -d '\n' rm -f
fi
echo "$image"
