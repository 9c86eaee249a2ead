#!/bin/sh
# PID 1 of a guest in QEMU that nobody commands, on busybox: loads the kernel's drivers, starts
# /driver if there is one, then uses nearly all memory that is free and lets go of it again, over
# and over, as `alone.py` does.

/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
[ ! -x /driver ] || /driver &

free_mib() {
    while read -r name value _; do
        [ "$name" != MemFree: ] || echo $((value / 1024))
    done </proc/meminfo
}

while true; do
    # A kernel kills before the last page is gone. Unknown words of its command line are variables.
    more=$(($(free_mib) - ${left_mib:-20}))
    # In a process's own memory: it can be killed for it, and nobody else is.
    [ "$more" -le 0 ] || (
        echo 1000 >/proc/self/oom_score_adj
        exec dd if=/dev/zero of=/dev/null bs="${more}M" count=1 2>/dev/null
    )
    sleep 0.5
done
