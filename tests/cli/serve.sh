# serve.sh - sourced by cases that pull: a server that answers as told, and where things then are.
weights=$here/../../importer/golden/vgg16_keras1.h5
size=$(wc -c <"$weights" | tr -d ' ')
run=
sum=$(sha256sum "$weights" | cut -d ' ' -f 1)
installed=$XDG_DATA_HOME/topwork/backbones
downloads=$XDG_CACHE_HOME/topwork/downloads
export no_proxy=127.0.0.1

# start BEHAVIOUR... - $url is then the server's; it ends after its last behaviour.
start() {
    rm -f port asked
    serve "$weights" "$@" &
    server=$!
    while [ ! -s port ]; do sleep 0.01; done
    url=http://127.0.0.1:$(cat port)
}

# pull [OPTION...] - the weights as the backbone tiny. "run=exec pull &" is a process to be killed.
pull() {
    $run topwork backbone pull tiny --from "$url/dir/weights.h5" --arch vgg16 --sha256 "$sum" "$@"
}

# What there is: names under both folders, with the digits that a port makes differ left out.
left() {
    { ls -A "$installed"; ls -A "$downloads"; ls -A "$downloads"/tiny-*; } 2>/dev/null |
        sed "s/-[0-9a-f]\{16\}/-DIGITS/; /^\//d; /^$/d"
}

# Until some of the file has come; at most 2 s and a bit.
wait_for_part() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        for part in "$downloads"/tiny-*/part; do [ -s "$part" ] && return; done
        sleep 0.2
    done
}
