#!/bin/bash
# Make the development environment, .venv, once; again when what it is made of has changed.
#
# Needs Python 3.11 or later ($PYTHON, or the newest found) and gets its venv module from the
# distribution where that is missing. What is installed is exactly what requirements-dev.txt says.
set -euo pipefail
cd "$(dirname "$0")/.."

usable() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))'
}

find_python() {
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if usable "$python"; then
            command -v "$python"
            return
        fi
    done
    return 1
}

if ! command -v "${PYTHON:-python3}" >/dev/null; then
    tools/packages.sh "for Python itself" python3 python3-venv
fi
if ! python=$(find_python); then
    echo "aerostat: Python 3.11 or later is needed; here is $(python3 --version 2>&1)." >&2
    echo "aerostat: with another one installed: make PYTHON=/path/to/python3.12" >&2
    exit 1
fi

# What the environment is made of; its programs hold the path of the clone, too.
base="$PWD $("$python" --version)"
lock=$(cat requirements-dev.txt pyproject.toml | sha256sum)
stamp=.venv/made-of
made_base='' made_lock=''
if [ -f "$stamp" ] && .venv/bin/python -c ''; then
    { read -r made_base && read -r made_lock; } <"$stamp" || true
fi
[ "$made_base / $made_lock" != "$base / ${lock%% *}" ] || exit 0

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    tools/packages.sh "for a virtual environment" "python$version-venv"
fi
rm -f "$stamp"
if [ "$made_base" != "$base" ]; then
    echo "aerostat: making .venv with $("$python" --version) ($python)"
    "$python" -m venv --clear .venv
else
    echo "aerostat: bringing .venv up to date"
fi
pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
"${pip[@]}" install --require-hashes --requirement requirements-dev.txt
"${pip[@]}" install --no-deps --no-build-isolation --editable .
printf '%s\n' "$base" "${lock%% *}" >"$stamp"
