#!/bin/sh
# The first process of the guest (scripts/guest.sh makes it /init): makes a machine of a bare kernel, runs /tests, tells
# on the second serial line how that ended, and ends the machine.
set -e
PATH=/usr/sbin:/usr/bin HOME=/ AURAE_IN_GUEST=1
export PATH HOME AURAE_IN_GUEST

mount -t devtmpfs dev /dev
# A byte sent is a byte received, without a carriage return that nobody wrote.
stty -F /dev/ttyS1 raw
exec </dev/null >/dev/ttyS1 2>&1

mount -t proc proc /proc
mount -t sysfs sysfs /sys
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mkdir /dev/shm /dev/mqueue /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t mqueue mqueue /dev/mqueue
mount -t devpts devpts /dev/pts
# As systemd mounts it.
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
# A disk that nothing else uses, for limits on its traffic and its space.
mount -L disk /mnt/disk
ip link set lo up

read -r uptime _ </proc/uptime
echo "guest: ready, Linux $(uname -r) after $uptime s"
set +e
status=0
# shellcheck disable=SC1091 # scripts/guest.sh writes it; it sets $status.
. /tests
# A test that was ended may have left a line without its end.
printf '\nguest: exit %s\n' "$status"
# Waits until all of it is sent.
stty -F /dev/ttyS1 raw
# At once, and without the firmware; qemu takes a reset for the end (-no-reboot).
echo b >/proc/sysrq-trigger
