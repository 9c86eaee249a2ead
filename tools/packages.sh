#!/bin/bash
# Install packages of the distribution, if they are not installed yet.
#
#   tools/packages.sh REASON PACKAGE...
#
# Says what and why, asks for sudo where it must, and where nothing can be installed says what to
# install by hand. Fetches package lists only when there are none or they are out of date.
set -euo pipefail

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
    exit 1
}

command -v apt-get >/dev/null || give_up "this is neither Debian nor Ubuntu"

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "not root, and there is no sudo"
    as_root=(sudo)
    # With nobody there to type a password, fail rather than wait.
    [ -t 0 ] || as_root+=(--non-interactive)
fi
echo "aerostat: installing ${missing[*]} ($reason)${as_root:+, with sudo}"

apt_get() {
    # What went well is not worth a screenful; what did not is said on the standard error.
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get --quiet --quiet "$@" >/dev/null
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
apt_get update || give_up "the package lists could not be fetched"
install || give_up "the packages could not be installed"
