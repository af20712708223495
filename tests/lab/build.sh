#!/usr/bin/env bash
# Build the programs that the lab runs: build.sh [etcd kubernetes coredns helm crictl kwok gh …]; without names, all of them.
# Needs Go and the Go module proxy. Does nothing for what is there already. Prints the folder of the binaries.
set -euo pipefail
cache=${FALCO_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/falco-lab}
bin=$cache/bin
mkdir -p "$bin"

etcd_version=v3.6.16
kubernetes_version=v1.36.3
helm_version=v3.22.0
crictl_version=v1.34.0
kwok_version=v0.8.0
gh_version=v2.83.0
coredns_version=v1.14.7
cert_manager_version=v1.21.2
prometheus_operator_version=v0.85.0

kubernetes_names="kube-apiserver kubectl kube-controller-manager kube-scheduler kubelet kube-proxy"
crds_name=crds-$cert_manager_version-$prometheus_operator_version.yaml
# shellcheck disable=SC2206 # an argument may be several names
parts=(${@:-etcd crictl kubernetes coredns crds helm kwok gh})

current() { # NAME VERSION: whether the link NAME points at what is built of this version
  [ -x "$bin/$1-$2" ] && [ "$(readlink "$bin/$1")" = "$1-$2" ]
}

there() { # PART: whether all of it is built
  local name version=${1}_version
  case $1 in
    kubernetes) for name in $kubernetes_names; do current "$name" "$kubernetes_version" || return 1; done ;;
    crds) [ -e "$cache/$crds_name" ] && [ "$(readlink "$cache/crds.yaml")" = "$crds_name" ] ;;
    *) current "$1" "${!version-}" ;;
  esac
}

lacking=""
for part in "${parts[@]}"; do
  there "$part" || lacking="$lacking $part"
done
if [ -z "$lacking" ]; then
  echo "$bin"
  exit
fi

# One builds at a time, and who comes second finds everything built. For what is there already nobody waits.
exec 9>"$cache/.building"
flock 9

export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=mod -buildvcs=false -trimpath -p=${LAB_BUILD_JOBS:-$(nproc)}"
ldflags="-s -w"

done_before() { # NAME VERSION: whether the link NAME points at a binary of this version
  [ -x "$bin/$1-$2" ] && ln -sfn "$1-$2" "$bin/$1"
}

keep() { # FILE NAME VERSION
  mv "$1" "$bin/.$2-$3" && mv "$bin/.$2-$3" "$bin/$2-$3" && ln -sfn "$2-$3" "$bin/$2"
}

module() { # NAME VERSION MODULE PACKAGE [LDFLAGS]: build one command of a module with the module's own go.sum
  done_before "$1" "$2" && return
  echo "building $1 $2" >&2
  local work
  work=$(mktemp -d)
  (
    cd "$work"
    go mod init lab-build >&2 2>/dev/null
    go get "$3@$2" >&2
    go build -ldflags "$ldflags ${5:-}" -o "$work/out" "$4" >&2
  )
  keep "$work/out" "$1" "$2"
  rm -rf "$work"
}

copied_module() { # MODULE VERSION DIRECTORY: a writable copy of a module's sources
  go mod download "$1@$2" >&2
  cp -r --no-preserve=mode "$(go env GOMODCACHE)/$(printf %s "$1" | sed 's/[A-Z]/!\L&/g')@$2" "$3"
}

kubernetes() {
  local name staging missing="" work
  for name in $kubernetes_names; do
    done_before "$name" "$kubernetes_version" || missing="$missing $name"
  done
  [ -n "$missing" ] || return 0
  work=$(mktemp -d)
  copied_module k8s.io/kubernetes "$kubernetes_version" "$work/kubernetes"
  staging=v0.${kubernetes_version#v1.}
  (
    cd "$work/kubernetes"
    rm -f go.work go.work.sum
    # shellcheck disable=SC2046 # a list of options
    go mod edit $(sed -n "s/^[[:space:]]*\(k8s\.io\/[^ ]*\) v0\.0\.0\( .*\)\?$/-replace=\1=\1@$staging/p" go.mod | sort -u)
    for name in $missing; do
      echo "building $name $kubernetes_version" >&2
      go build -o "$work/out" -ldflags "$ldflags -X k8s.io/component-base/version.gitVersion=$kubernetes_version \
        -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36" "./cmd/$name" >&2
      keep "$work/out" "$name" "$kubernetes_version"
    done
  )
  rm -rf "$work"
}

coredns() { # with the plugin that answers for Services and pods, not the clouds' name servers
  done_before coredns "$coredns_version" && return
  echo "building coredns $coredns_version" >&2
  local work
  work=$(mktemp -d)
  cat >"$work/main.go" <<'END'
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() { coremain.Run() }
END
  (
    cd "$work"
    go mod init lab-build >&2 2>/dev/null
    go get "github.com/coredns/coredns@$coredns_version" >&2
    go build -ldflags "$ldflags" -o "$work/out" . >&2
  )
  keep "$work/out" coredns "$coredns_version"
  rm -rf "$work"
}

crds() { # what cert-manager and the Prometheus Operator publish, so that the API server knows their resources: crds.yaml
  local all=$cache/$crds_name modules kind
  modules=$(go env GOMODCACHE)
  if [ ! -e "$all" ]; then
    go mod download "github.com/cert-manager/cert-manager@$cert_manager_version" \
      "github.com/prometheus-operator/prometheus-operator@$prometheus_operator_version" >&2
    for kind in certificates issuers clusterissuers; do
      echo ---
      cat "$modules/github.com/cert-manager/cert-manager@$cert_manager_version/deploy/crds/cert-manager.io_$kind.yaml"
    done >"$all.part"
    for kind in servicemonitors podmonitors prometheusrules; do
      echo ---
      cat "$modules/github.com/prometheus-operator/prometheus-operator@$prometheus_operator_version/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml"
    done >>"$all.part"
    mv "$all.part" "$all"
  fi
  ln -sfn "$(basename "$all")" "$cache/crds.yaml"
}

for part in "${parts[@]}"; do
  case $part in
    etcd) module etcd "$etcd_version" go.etcd.io/etcd/server/v3 go.etcd.io/etcd/server/v3 ;;
    crictl) module crictl "$crictl_version" sigs.k8s.io/cri-tools sigs.k8s.io/cri-tools/cmd/crictl ;;
    helm) module helm "$helm_version" helm.sh/helm/v3 helm.sh/helm/v3/cmd/helm ;;
    kwok) module kwok "$kwok_version" sigs.k8s.io/kwok sigs.k8s.io/kwok/cmd/kwok ;;
    gh) module gh "$gh_version" github.com/cli/cli/v2 github.com/cli/cli/v2/cmd/gh ;;
    kubernetes) kubernetes ;;
    coredns) coredns ;;
    crds) crds ;;
    *)
      echo "build.sh: $part is not known; expected etcd, crictl, kubernetes, coredns, crds, helm, kwok or gh" >&2
      exit 2
      ;;
  esac
done
echo "$bin"
