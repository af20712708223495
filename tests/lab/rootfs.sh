#!/usr/bin/env bash
# Make the root file system of the lab's host, Debian 12 with what a server has and what responders use: rootfs.sh
# Needs root and mmdebstrap. Does nothing when it is there already. Prints its folder.
set -euo pipefail
cache=${FALCO_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/falco-lab}
packages=systemd,systemd-sysv,dbus,procps,iproute2,kmod,lsof,jq,curl,ca-certificates,cron,sudo,openssh-server,openssh-client
packages=$packages,gdb,strace,nftables,iptables,conntrack,auditd,e2fsprogs,file,netcat-openbsd,netcat-traditional,socat,acl
packages=$packages,tcpdump,bpftool,zsh,python3-minimal,perl-base,logrotate,rsyslog,attr,keyutils,psmisc,debsums,bsdextrautils,iputils-ping,findutils,passwd,login,xz-utils,zstd
packages=$packages,containerd,runc,containernetworking-plugins,ebtables,busybox-static,libpam-systemd,bind9-host,netbase
name=host-bookworm-$(printf %s "$packages" | sha256sum | cut -c1-10)
root=$cache/$name
mkdir -p "$cache"
exec 9>"$cache/.making"
flock 9
if [ ! -d "$root" ]; then
  work=$(mktemp -d "$cache/.host-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mmdebstrap --mode=root --variant=minbase --include="$packages" bookworm "$work/root" >"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    exit 1
  }
  chroot "$work/root" apt-get clean
  chroot "$work/root" useradd -m -s /bin/bash -u 1000 alice
  chroot "$work/root" systemctl disable -q containerd.service >/dev/null 2>&1 || true
  chroot "$work/root" systemctl mask -q systemd-logind.service systemd-networkd.service systemd-resolved.service \
    systemd-udevd.service systemd-udev-trigger.service getty.target console-getty.service auditd.service ssh.service \
    apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer systemd-timesyncd.service >/dev/null 2>&1 || true
  printf 'lab-host\n' >"$work/root/etc/hostname"
  mv "$work/root" "$root"
fi
echo "$root"
