#!/usr/bin/env bash
# cache.sh BUILD [FOLDER] - train without a cache, with an empty one, and once more; medians of 5 rounds, in milliseconds.
set -eu
build=$(realpath "$1") folder=${2:-${TOPWORK_DATA:-$(dirname "$0")/../../../shared/data}/photos/catsdogs}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
once() { # label, options...
    local label=$1 start
    shift
    start=$(date +%s%N)
    "$build/cli/topwork" train "$folder" -o "$scratch/$label.tw" -f -q "$@" >/dev/null
    echo $((($(date +%s%N) - start) / 1000)) >>"$scratch/$label.us"
}
for _ in 1 2 3 4 5; do
    rm -rf "$scratch/cache"
    once without --no-cache
    once first --cache "$scratch/cache"
    once second --cache "$scratch/cache"
done
for label in without first second; do
    sort -n "$scratch/$label.us" | awk -v l="$label" '{ v[NR] = $1 } END { printf "%-8s %8.1f ms\n", l, v[int((NR + 1) / 2)] / 1000 }'
done
cmp "$scratch/without.tw" "$scratch/first.tw" && cmp "$scratch/without.tw" "$scratch/second.tw" && echo "the three models are the same, byte for byte"
