#!/usr/bin/env bash
# First process of a lab host: enter.sh ROOT_FILE_SYSTEM WORK_DIRECTORY [systemd]
# Runs inside fresh mount, pid, net, uts and ipc namespaces; nothing that it mounts is seen outside.
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
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mount --rbind /sys/fs/cgroup sys/fs/cgroup
ip link set lo up
hostname lab-host
mkdir -p "$work/root/mnt/.old"
pivot_root . mnt/.old
umount -l /mnt/.old
rmdir /mnt/.old
if [ "$init" = systemd ]; then
  exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console --show-status=0
fi
# The shell reaps what loses its parent.
exec /bin/sh -c 'trap "exit 0" TERM; while :; do sleep 3600 & wait $!; done'
