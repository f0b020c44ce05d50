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

# --- arguments: the comment at the head of a script is its help ---
print_help() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"; }
# refuse ARGUMENT: ends the script with 2; every script calls it for an argument that it does not know
refuse() {
    printf '%s: unknown argument: %s\n\n' "$(basename "$0")" "$1" >&2
    print_help >&2
    exit 2
}
need_value() { # OPTION COUNT: ends the script with 2 if the option is the last of COUNT arguments
    [ "$2" -ge 2 ] || { printf '%s: %s requires a value\n' "$(basename "$0")" "$1" >&2; exit 2; }
}
need_port() { # OPTION VALUE
    [[ $2 =~ ^[0-9]{1,5}$ ]] && [ "$2" -ge 1 ] && [ "$2" -le 65535 ] || { printf '%s: %s must be a port, not "%s"\n' "$(basename "$0")" "$1" "$2" >&2; exit 2; }
}
# for a script without arguments
no_arguments() {
    case ${1:-} in
    '') ;;
    -h | --help) print_help && exit 0 ;;
    *) refuse "$1" ;;
    esac
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
