# Sourced by bin/up, bin/test, bin/bench and bin/messages: sets $root, and $python to a Python that Phaseline runs on.
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 1

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

python=
newest=
for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3.14 python3 python; do
    [ -n "$candidate" ] || continue
    command -v "$candidate" >/dev/null 2>&1 || continue
    if is_recent "$candidate"; then
        # A Python without venv is the last choice: another one may have it.
        python=${python:-$candidate}
        if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            python=$candidate
            break
        fi
    else
        newest=$("$candidate" -c 'import platform; print(platform.python_version())' 2>/dev/null) || newest=
    fi
done
if [ -z "$python" ] && command -v uv >/dev/null 2>&1; then
    python=$(uv python find '>=3.11' 2>/dev/null) || python=
fi
if [ -z "$python" ]; then
    echo "Phaseline needs Python 3.11 or newer, and this machine has ${newest:+only Python }${newest:-none}." \
        "Debian, Ubuntu: apt install python3 python3-venv. macOS: brew install python@3.13." >&2
    exit 1
fi
