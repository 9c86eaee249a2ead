#!/bin/sh
# PID 1 of a laboratory guest in QEMU, on busybox: loads the balloon driver, then obeys lines of
# "NUMBER COMMAND [ARGUMENT]" from the character device $commands. It answers with the output of
# the command and "=NUMBER STATUS"; kernel messages go to the first serial port.

/bin/busybox mkdir -p /proc /sys /dev /store /output /tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o size=100% tmpfs /store
while read -r module; do insmod "/modules/$module"; done </modules/order

export PYTHONPATH=/opt/aerostat # where there is a Python, its own packages are there

# Its driver may find it a moment later.
until [ -c "$commands" ] && (: <>"$commands") 2>/dev/null; do sleep 0.01; done
exec 0<>"$commands" >&0 2>&1
[ ! -t 0 ] || stty raw -echo
echo "ready $(uname -r)"

fill() { # MIB: hold this much memory, as one more file in memory
    dd if=/dev/zero of="/store/$number" bs=1M count="$1" 2>/dev/null
}

churn() { # MIB: take and free this much memory, over and over
    while dd if=/dev/zero of=/store/churn bs=1M count="$1" 2>/dev/null; do rm -f /store/churn; done
}

shell() { # COMMAND: and then its status, on a line of its own
    sh -c "$1" </dev/null 2>&1
    printf '\n%s\n' $?
}

begin() { # COMMAND: in the background; what it says goes to /output/PID
    sh -c 'exec >/output/$$ 2>&1; eval "exec $1"' sh "$1" </dev/null &
    echo $!
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
    shell) shell "$argument" ;;
    begin) begin "$argument" ;;
    ended) wait "$argument"; echo $? ;;
    huge) echo "$argument" >/proc/sys/vm/nr_hugepages ;;
    poweroff) echo "=$number 0" && sleep 0.1 && poweroff -f ;;
    *) false ;;
    esac
    echo "=$number $?"
done
poweroff -f
