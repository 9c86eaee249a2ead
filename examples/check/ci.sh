#!/bin/sh
# Holds a vhost-user balloon device to the specification; for any CI that runs a shell.
#
#   AEROSTAT=../aerostat sh ci.sh ./target/debug/my-balloon --socket balloon.sock
#
# The arguments start the device, and it is started again whenever it has ended. It listens at
# balloon.sock in the directory where this runs. AEROSTAT is what pip installs aerostat from: a
# clone, a wheel, an address; without it, the command is already there.
set -eu

if [ -n "${AEROSTAT:-}" ]; then
    python3 -m venv check-env
    check-env/bin/pip install --quiet "$AEROSTAT"
    PATH="$PWD/check-env/bin:$PATH"
fi

# 0: nothing is violated; 1: something is, which the report tells; 2: there is no device.
# What you know of your device, and have a reason for, is named like this:
#   --known 'VQ-DEV-4=our old drivers want the length'
exec aerostat check device balloon.sock --quiet --junit balloon-report.xml -- "$@"
