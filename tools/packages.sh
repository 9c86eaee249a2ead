#!/bin/bash
# Install packages of the distribution, if they are not installed yet.
#
#   tools/packages.sh REASON PACKAGE...
#
# Says what and why, asks for sudo where it must, and where nothing can be installed says what to
# install by hand. Fetches package lists only when there are none or they are out of date.
set -euo pipefail

everything="git make python3-venv user-mode-linux qemu-system-x86 libvirt-daemon \
    libvirt-daemon-driver-qemu libvirt-clients python3-libvirt qemu-guest-agent"
reason=$1
shift

missing=()
for package in "$@"; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

give_up() {
    echo "aerostat: $1" >&2
    echo "aerostat: install these, $reason: ${missing[*]}" >&2
    echo "aerostat:   on Debian and Ubuntu: sudo apt-get install ${missing[*]}" >&2
    echo "aerostat: or everything at once, for the demo and all tests: sudo apt-get install" \
        "$everything" >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "this is neither Debian nor Ubuntu"

umask 022 # sudo passes it on, and what root installs is for everybody
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "not root, and there is no sudo"
    as_root=(sudo)
    # With nobody there to type a password, fail rather than wait.
    [ -t 0 ] || as_root+=(--non-interactive)
fi
echo "aerostat: installing ${missing[*]} ($reason)${as_root:+, with sudo}"
[ ${#as_root[@]} -eq 0 ] || "${as_root[@]}" true || give_up "not root, and sudo was refused"

apt_get() {
    # What went well is not worth a screenful; what did not is said on the standard error. A new
    # machine may be installing its first updates: wait for that to end.
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
        apt-get --quiet --quiet --option DPkg::Lock::Timeout=300 "$@" >/dev/null
}
install() {
    apt_get install --yes --no-install-recommends "${missing[@]}"
}
known() {
    for package in "${missing[@]}"; do
        [[ $(LC_ALL=C apt-cache policy "$package") == *"Candidate: "[!\(]* ]] || return 1
    done
}

if known && install; then
    exit 0
fi
echo "aerostat: fetching new package lists"
# One repository that does not answer need not be the one that has them.
apt_get update || echo "aerostat: not all package lists could be fetched" >&2
install || give_up "the packages could not be installed"
