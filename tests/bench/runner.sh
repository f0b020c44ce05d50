#!/usr/bin/env bash
# runner.sh [RUNS] [LANES]: measures sandboxed runs of `true` per second. RUNS in total (200), LANES at the same time (one per core).
# As root every lane has its own slot uid.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
runs=${1:-200} lanes=${2:-$(nproc)}
dir=$(mktemp -d /var/tmp/runner-bench.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
mkdir "$dir/skill"
lane() {
    local i uid=
    [ "$(id -u)" = 0 ] && uid=",\"uid\":$((180100 + $1))"
    for ((i = 0; i < runs / lanes; i++)); do
        printf '{"argv":["true"],"skill_dir":"%s/skill","run_dir":"%s/run-%d-%d","stdin":"{}"%s}' \
            "$dir" "$dir" "$1" "$i" "$uid" >"$dir/job-$1"
        "$root/bin/millrace-runner" --job "$dir/job-$1"
    done >"$dir/lane-$1"
}
start=$(date +%s%N)
for ((l = 0; l < lanes; l++)); do lane "$l" & done
wait
end=$(date +%s%N)
good=$(cat "$dir"/lane-* | grep -c '"exit_code":0')
echo "runs=$good lanes=$lanes seconds=$(((end - start) / 1000000))e-3 runs_per_second=$((good * 1000000000 / (end - start)))"
[ "$good" = $((runs / lanes * lanes)) ]
