#!/bin/bash
# Install the manager on this host, from this clone, or bring it up to date.
#
#   sudo ./install.sh                into /opt/aerostat, with the service, which is not started
#   sudo ./install.sh --uninstall    remove it; guests keep the sizes that they have
#   sudo ./install.sh --purge        remove its configuration and what it learned, too
#
# Needs a Python of 3.11 or later ($PYTHON, or python3), and gets what else is missing from the
# distribution. What is fetched from PyPI is exactly what requirements.txt says; pip's own settings
# (PIP_INDEX_URL and the like) hold. Everything is in place before anything takes its place.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"
umask 022

home=/opt/aerostat
local=/usr/local
config=/etc/aerostat
state=/var/lib/aerostat
list=$home/files

# What is copied, and where to.
files() {
    echo "contrib/systemd/aerostat.service $local/lib/systemd/system/aerostat.service"
    echo "contrib/systemd/aerostat.sysusers $local/lib/sysusers.d/aerostat.conf"
    echo "contrib/polkit/50-aerostat.rules /etc/polkit-1/rules.d/50-aerostat.rules"
    # Manual pages and completion, laid out as they are to be.
    find share -type f -printf "%p $local/%p\n"
}

main() {
    [ "$(id -u)" -eq 0 ] || fail "this installs for the whole host: sudo ./install.sh"
    case "${1:-}" in
        "") install_all ;;
        --uninstall)
            uninstall
            echo "aerostat: removed; $config and $state are kept"
            ;;
        --purge)
            uninstall
            purge
            ;;
        *) fail "there are --uninstall and --purge" ;;
    esac
}

fail() {
    echo "aerostat: $1" >&2
    exit 1
}

systemd_runs() { [ -d /run/systemd/system ]; }

install_all() {
    get_python
    make_environment
    copy_files
    ln -sfn "$new" "$home/current"
    ln -sfn "$home/current/bin/aerostat" "$local/bin/aerostat"
    if systemd_runs; then
        systemctl daemon-reload
        systemctl try-restart aerostat
    fi
    # Only now: a manager that ran meanwhile may have loaded some of the old one.
    find "$home" -mindepth 1 -maxdepth 1 -type d ! -path "$new" -exec rm -rf {} +
    say_what_next
}

get_python() {
    python=${PYTHON:-python3}
    [ -n "${PYTHON:-}" ] || "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        tools/packages.sh "to make a virtual environment" python3-venv
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python is older than 3.11; name another: sudo PYTHON=python3.12 ./install.sh"
    # libvirt is spoken to by the distribution's own Python, whichever runs the manager.
    if command -v virsh libvirtd virtqemud >/dev/null; then
        /usr/bin/python3 -c 'import libvirt' 2>/dev/null ||
            tools/packages.sh "to speak to libvirt" python3-libvirt
    fi
}

make_environment() {
    new=$home/$(date +%Y%m%d-%H%M%S)
    trap 'rm -rf "$new"' ERR
    echo "aerostat: installing into $home"
    mkdir -p "$home"
    "$python" -m venv "$new"
    pip=("$new/bin/python" -m pip --disable-pip-version-check --quiet install)
    "${pip[@]}" --require-hashes --only-binary :all: --requirement requirements.txt
    "${pip[@]}" --no-index --no-deps --no-build-isolation .
    trap - ERR
}

copy_files() {
    remove_files
    files | while read -r from to; do
        install -D --mode=644 "$from" "$to"
        echo "$to" >>"$list"
    done
    [ -e "$config/aerostat.toml" ] ||
        install -D --mode=644 contrib/aerostat.toml "$config/aerostat.toml"
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers aerostat.conf
    fi
}

# Those that this or an earlier version copied.
remove_files() {
    [ -e "$list" ] || return 0
    xargs --delimiter='\n' rm -f -- <"$list"
    rm -f "$list"
}

say_what_next() {
    echo "aerostat: installed $("$home/current/bin/aerostat" --version)"
    echo "aerostat: look at your guests:  aerostat list --libvirt qemu:///system"
    echo "aerostat: say how to manage:    $config/aerostat.toml"
    if systemd_runs; then
        echo "aerostat: start the service:    systemctl enable --now aerostat"
    fi
}

uninstall() {
    if systemd_runs; then
        systemctl disable --now aerostat 2>/dev/null || true
    fi
    remove_files
    rm -f "$local/bin/aerostat"
    rm -rf "$home"
    [ ! -d "$local/share/aerostat" ] || rmdir --ignore-fail-on-non-empty "$local/share/aerostat"
    if systemd_runs; then
        systemctl daemon-reload
    fi
}

purge() {
    rm -rf "$config" "$state"
    if id aerostat >/dev/null 2>&1; then
        userdel aerostat
    fi
    echo "aerostat: removed, with $config, $state and the user aerostat"
}

main "$@"
