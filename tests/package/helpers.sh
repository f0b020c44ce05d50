# helpers.sh: what the tests in the bare system share. To be sourced there.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
unset "${!MILLRACE_@}"
cd /root
step() { printf '%s\n' "$*"; }
die() {
    tail -n 12 /tmp/*.out /var/log/millrace/*.log >&2 2>/dev/null || true
    [ ! -d /run/systemd/system ] || journalctl --no-pager --quiet --lines=60 >&2 || true
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
await() { # SECONDS COMMAND…
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || die "not in time: $*"
        sleep 0.1
    done
}
expect() { # NAME PATTERN TEXT
    grep -qE -- "$2" <<<"$3" || die "$1: expected $2 in: $3"
}
# what a package may leave: users, apt's, dpkg's and systemd's own records, and the database, which other hosts may use
files_of_system() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /share -o -path /root -o -path /var/lib/mysql \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log/apt -o -path /var/log/mysql \) -prune -o -print |
        grep -vE '^/(etc/(passwd|group|shadow|gshadow)-?|etc/\.pwd\.lock|var/log/(dpkg|alternatives)\.log|var/lib/logrotate/status|var/log/nginx/.*|var/lib/nginx/.*|var/lib/systemd/(timers/.*|random-seed|catalog/.*)|var/tmp/systemd-private-.*|var/lib/redis|var/log/redis/.*|var/lib/(mysql|redis)/.*)$' | sort
}
# an installation without the recommended packages: the bare system has the servers already
apt_without_questions() {
    printf 'APT::Get::Assume-Yes "true"; APT::Install-Recommends "false"; APT::AutoRemove::RecommendsImportant "false";' >/etc/apt/apt.conf.d/99test
}
# without a proxy, and with the key
call() { curl -sS --noproxy '*' -H "Authorization: Bearer $key" "$@"; }
