#!/bin/sh
# run.sh PROGRAM CASES [TOOL...] - runs one file of command-line cases and prints TAP.
#
# A case is a command and what must come of it:
#     $ topwork version          the command, for the shell; "$+ " continues it on another line
#     > topwork 0.1.0            a line of standard output, to the letter
#     >~ time: * s*              the same as a shell pattern
#     > ...                      any further lines
#     ! topwork: unknown ...     lines of standard error likewise; none given: none may come
#     ? 2                        exit status; 0 when not given
# Cases of one file run in one fresh folder, in order. "@ need WHAT" passes over the whole file, saying so,
# when WHAT is not there: a command, "locale NAME", or "data PATH" under $TOPWORK_DATA.
# In the folder, topwork is PROGRAM, TOOLs are commands, $here the folder of the case file, $data the shared data.
program=$(realpath "$1") || exit 99
cases=$(realpath "$2") || exit 99
here=$(dirname "$cases")
data=${TOPWORK_DATA:-$here/../../../../shared/data}
scratch=$(mktemp -d) || exit 99
trap 'chmod -R u+rwx "$scratch"; rm -rf "$scratch"' EXIT
mkdir "$scratch/bin" "$scratch/work" "$scratch/io"
ln -s "$program" "$scratch/bin/topwork"
shift 2
for tool in "$@"; do ln -s "$(realpath "$tool")" "$scratch/bin/"; done
PATH=$scratch/bin:$PATH
export PATH here data
unset FAKE_FAIL FAKE_SIGNAL FAKE_SLOW TOPWORK_BACKBONES
export XDG_DATA_HOME="$scratch/nowhere" # no backbone of the user's
export XDG_CACHE_HOME="$scratch/cache"  # nor features
io=$scratch/io
count=0
failed=0
command=
line_number=0

# A German locale made on the spot where the system has only its source: $LOCPATH for every later command.
make_locale() {
    mkdir -p "$scratch/locale"
    localedef -i "${1%%.*}" -f UTF-8 "$scratch/locale/$1" 2>/dev/null || true
    [ -f "$scratch/locale/$1/LC_NUMERIC" ] && LOCPATH=$scratch/locale && export LOCPATH
}

skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

need() {
    case $1 in
    data\ *) [ -e "$data/${1#data }" ] || skip_all "no ${1#data } under \$TOPWORK_DATA" ;;
    locale\ *)
        locale -a 2>/dev/null | grep -qix "$(echo "${1#locale }" | sed 's/UTF-8/utf8/')" ||
            make_locale "${1#locale }" || skip_all "no ${1#}, and localedef cannot make it"
        ;;
    *) command -v "$1" >/dev/null || skip_all "no command $1" ;;
    esac
}

# expected (lines "=text" or "~pattern") against what came; says what is wrong
compare() {
    exec 3<"$1" 4<"$2"
    while IFS= read -r want <&3; do
        [ "$want" = "=..." ] && return 0
        if ! IFS= read -r got <&4 && [ -z "$got" ]; then
            echo "#   $3: missing: ${want#?}"
            return 1
        fi
        case $want in
        =*) [ "${want#?}" = "$got" ] && continue ;;
        *)
            pattern=${want#?}
            # shellcheck disable=SC2254 # a pattern is meant
            case $got in $pattern) continue ;; esac
            ;;
        esac
        echo "#   $3: wanted: ${want#?}"
        echo "#   $3: came:   $got"
        return 1
    done
    if IFS= read -r got <&4 || [ -n "$got" ]; then
        echo "#   $3: not wanted: $got"
        return 1
    fi
}

finish() {
    [ -n "$command" ] || return 0
    count=$((count + 1))
    (cd "$scratch/work" && eval "$command") >"$io/out" 2>"$io/err" </dev/null
    code=$?
    good=yes
    [ "$code" = "$status" ] || {
        echo "#   exit status: wanted $status, came $code"
        good=no
    }
    compare "$io/want_out" "$io/out" stdout || good=no
    compare "$io/want_err" "$io/err" stderr || good=no
    if [ $good = yes ]; then
        echo "ok $count - line $first_line"
    else
        failed=$((failed + 1))
        echo "not ok $count - line $first_line: $(echo "$command" | head -n 1)"
        sed 's/^/#   err: /' "$io/err" | head -n 5
    fi
    command=
}

begin() {
    finish
    command=$1
    first_line=$line_number
    status=0
    : >"$io/want_out"
    : >"$io/want_err"
}

while IFS= read -r line || [ -n "$line" ]; do
    line_number=$((line_number + 1))
    case $line in
    '@ need '*) need "${line#@ need }" ;;
    '$ '*) begin "${line#??}" ;;
    '$+ '*) command="$command
${line#???}" ;;
    '>~ '*) printf '~%s\n' "${line#???}" >>"$io/want_out" ;;
    '> '*) printf '=%s\n' "${line#??}" >>"$io/want_out" ;;
    '>') echo '=' >>"$io/want_out" ;;
    '!~ '*) printf '~%s\n' "${line#???}" >>"$io/want_err" ;;
    '! '*) printf '=%s\n' "${line#??}" >>"$io/want_err" ;;
    '? '*) status=${line#??} ;;
    '#'* | '') ;;
    *)
        echo "Bail out! $cases:$line_number: what is this line?"
        exit 99
        ;;
    esac
done <"$cases"
finish
echo "1..$count"
[ "$failed" = 0 ]
