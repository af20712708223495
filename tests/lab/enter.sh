#!/usr/bin/env bash
# First process of a lab host: enter.sh ROOT_FILE_SYSTEM WORK_DIRECTORY [systemd]
# With LAB_KERNEL=1 the machine's kernel can be set through /proc/sys and /sys; without, only its own network can.
# Runs inside fresh mount, pid, net, uts, ipc and cgroup namespaces; nothing that it mounts is seen outside.
set -euo pipefail
lower=$1 work=$2 init=${3:-}
mount -t tmpfs -o size=2g,mode=755 lab "$work"
mkdir "$work/upper" "$work/overlay" "$work/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/overlay" overlay "$work/root"
cd "$work/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 dev dev
for node in null zero full random urandom tty loop-control fuse; do
  [ -e "/dev/$node" ] && cp -a "/dev/$node" dev/
done
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
while read -r _ _ _ _ point _ rest; do
  case $rest in
    *" - cgroup2 "*) [ "$point" = /sys/fs/cgroup ] && mount -t cgroup2 cgroup2 sys/fs/cgroup || mkdir "sys/fs/cgroup/${point##*/}" && mount -t cgroup2 cgroup2 "sys/fs/cgroup/${point##*/}" ;;
    *" - cgroup "*)
      options=${rest##* }
      mkdir "sys/fs/cgroup/${point##*/}"
      mount -t cgroup -o "${options#rw,}" cgroup "sys/fs/cgroup/${point##*/}"
      ;;
  esac
done </proc/self/mountinfo
if [ -z "${LAB_KERNEL:-}" ]; then
  mount --bind proc/sys/net run
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount --bind run proc/sys/net
  umount run
  if [ -e proc/sysrq-trigger ]; then
    mount --bind proc/sysrq-trigger proc/sysrq-trigger
    mount -o remount,bind,ro proc/sysrq-trigger
  fi
  mount -o remount,ro sys
fi
mount -t tmpfs -o mode=755 run run
ip link set lo up
hostname "${LAB_HOSTNAME:-lab-host}"
[ -z "${LAB_PROGRAMS:-}" ] || mount --bind "$LAB_PROGRAMS" usr/local/bin
mkdir -p "$work/root/mnt/.old"
pivot_root . mnt/.old
umount -l /mnt/.old
rmdir /mnt/.old
if [ "$init" = systemd ]; then
  exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console --show-status=0
fi
# The shell reaps what loses its parent.
exec /bin/sh -c 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'
