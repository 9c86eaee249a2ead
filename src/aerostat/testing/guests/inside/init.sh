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

fill() { # MIB: hold this much memory, as one more file in memory
    dd if=/dev/zero of="/store/$number" bs=1M count="$1" 2>/dev/null
}

churn() { # MIB: take and free this much memory, over and over
    while dd if=/dev/zero of=/store/churn bs=1M count="$1" 2>/dev/null; do rm -f /store/churn; done
}

rest() { # end what churned: a dd outlives the shell that began it, and holds its file
    while killall dd 2>/dev/null; do sleep 0.01; done
    rm -f /store/churn
}

shell() { # COMMAND: and then its status, on a line of its own
    sh -c "$1" </dev/null 2>&1
    printf '\n%s\n' $?
}

begin() { # COMMAND: in the background; its output goes to /output/PID, its status to PID.status
    # Not as a child of this shell: a child's end interrupts a write, and what was written is lost.
    (begun "$number" "$1" </dev/null >/dev/null 2>&1 &)
    until [ -s "/output/$number.begun" ]; do sleep 0.01; done
    cat "/output/$number.begun"
}

begun() { # NUMBER COMMAND
    sh -c 'exec >/output/$$ 2>&1; echo $$ >"/output/$1.begun"; eval "exec $2"' sh "$1" "$2"
    echo $? >"/output/$(cat "/output/$1.begun").status"
}

ended() { # PID
    until [ -s "/output/$1.status" ]; do sleep 0.05; done
    cat "/output/$1.status"
}

obey() { # what the lines say
    [ ! -t 0 ] || stty raw -echo
    echo "ready $(uname -r)"
    while read -r number command argument; do
        do_command
        echo "=$number $?"
    done
}

do_command() {
    case $command in
    ping) true ;;
    counters) cat /proc/vmstat /proc/meminfo ;;
    fill) fill "$argument" ;;
    free) rm -f /store/* ;;
    insmod) insmod "/modules/$argument.ko" ;;
    rmmod) rmmod "$argument" ;;
    churn) churn "$argument" & ;;
    rest) kill $! && wait; rest ;;
    shell) shell "$argument" ;;
    begin) begin "$argument" ;;
    ended) ended "$argument" ;;
    huge) echo "$argument" >/proc/sys/vm/nr_hugepages ;;
    poweroff) echo "=$number 0" && sleep 0.1 && poweroff -f ;;
    *) false ;;
    esac
}

# Its driver may find it a moment later.
until [ -c "$commands" ] && (: <>"$commands") 2>/dev/null; do sleep 0.01; done
# In a process of its own: to this one come the orphans.
obey 0<>"$commands" >&0 2>&1 &
wait
poweroff -f
