#!/bin/sh
# PID 1 of a laboratory guest in QEMU, on busybox: loads the balloon driver, then obeys lines of
# "NUMBER COMMAND [ARGUMENT]" from the second serial port. It answers with the output of the
# command and "=NUMBER STATUS"; kernel messages go to the first port.

/bin/busybox mkdir -p /proc /sys /dev /store
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o size=100% tmpfs /store
while read -r module; do insmod "/modules/$module"; done </modules/order

exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
echo "ready $(uname -r)"

fill() { # MIB: hold this much memory, as one more file in memory
    dd if=/dev/zero of="/store/$number" bs=1M count="$1" 2>/dev/null
}

churn() { # MIB: take and free this much memory, over and over
    while dd if=/dev/zero of=/store/churn bs=1M count="$1" 2>/dev/null; do rm -f /store/churn; done
}

while read -r number command argument; do
    case $command in
    ping) true ;;
    counters) cat /proc/vmstat /proc/meminfo ;;
    fill) fill "$argument" ;;
    free) rm -f /store/* ;;
    insmod) insmod "/modules/$argument.ko" ;;
    rmmod) rmmod "$argument" ;;
    churn) churn "$argument" & ;;
    rest) kill $! && wait ; rm -f /store/churn ;;
    huge) echo "$argument" >/proc/sys/vm/nr_hugepages ;;
    run) eval "$argument" ;;
    poweroff) echo "=$number 0" && sleep 0.1 && poweroff -f ;;
    *) false ;;
    esac
    echo "=$number $?"
done
poweroff -f
