#!/bin/sh
# Run the demonstration again and again, and stop at the first that fails or leaves anything.
#
#   tools/soak.sh [RUNS [SECONDS]]        20 demonstrations of 30 seconds each by default
#
# PYTHON names the interpreter that has aerostat; .venv/bin/python otherwise.
set -eu

runs=${1:-20}
seconds=${2:-30}
python=${PYTHON:-$(dirname "$0")/../.venv/bin/python}

# A directory of its own, so that others who work on this machine are not taken for leftovers.
TMPDIR=$(mktemp -d /tmp/soak.XXXXXX)
export TMPDIR

fail() {
    echo "run $run: $1; see $TMPDIR"
    exit 1
}

run=1
while [ "$run" -le "$runs" ]; do
    "$python" -m aerostat demo --for "$seconds" --seed "$run" --json \
        >"$TMPDIR/summary" 2>"$TMPDIR/log" || fail "exit code $?"
    "$python" - "$run" "$TMPDIR/summary" <<'END' || fail "the figures are wrong"
import json, pathlib, sys
figures = json.loads(pathlib.Path(sys.argv[2]).read_text().splitlines()[-1])
shown = ("peak_held_bytes", "budget_bytes", "taken_bytes", "given_bytes", "moves", "samples",
         "oom_kills", "guest_deaths", "stall_seconds")
print(f"run {sys.argv[1]}:", *(f"{name}={figures[name]}" for name in shown), flush=True)
within = figures["peak_held_bytes"] <= figures["budget_bytes"]
sys.exit(0 if within and figures["taken_bytes"] > 0 else 1)
END
    if pgrep -af "$TMPDIR/aerostat-"; then fail "processes are left"; fi
    if ls -d "$TMPDIR"/aerostat-* 2>/dev/null; then fail "files are left"; fi
    run=$((run + 1))
done
rm -r "$TMPDIR"
