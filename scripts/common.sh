# Common functions of the scripts: root of the tree, output, waiting. To be sourced.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd -P)
# Debian's default PATH of an ordinary user does not have the folder of mariadbd and nginx.
PATH=$PATH:/usr/sbin:/sbin

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' green='' red='' dim='' plain=''
fi

say() { printf '%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '  %s%s%s\n' "$dim" "$*" "$plain"; }
good() { printf '  %s%s%s\n' "$green" "$*" "$plain"; }
die() {
    printf '%s%s: %s%s\n' "$red" "$(basename "$0")" "$*" "$plain" >&2
    exit 1
}

as_root() {
    if [ "$EUID" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root or sudo is required for: $*"
    fi
}

# await SECONDS COMMAND…: waits until the command succeeds; fails after SECONDS. Between two attempts it reads with a timeout from
# a pipe without a writer, because `sleep` would start a process each time.
await() {
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000)) nothing='' late=0
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "${EPOCHREALTIME/./}" -ge "$deadline" ]; then late=1 && break; fi
        [ -n "$nothing" ] || exec {nothing}<> <(:)
        read -rt 0.02 -u "$nothing" || true
    done
    [ -z "$nothing" ] || exec {nothing}>&-
    return $late
}
