# bash completion for topwork: asks the program itself, so it cannot fall behind.
_topwork() {
    local word=$2 command=${COMP_WORDS[1]} at=2 option names
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$(topwork __options 2>/dev/null | cut -d ' ' -f 1 | sort -u)" -- "$word")
        return
    fi
    if [[ $command == backbone ]]; then
        if ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W "list info pull import calibrate" -- "$word")
            return
        fi
        command="backbone ${COMP_WORDS[2]}" at=3
    fi
    option=${COMP_WORDS[COMP_CWORD - 1]}
    # shellcheck disable=SC2086 # "backbone list" is two words
    names=$(topwork __options $command 2>/dev/null)
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(cut -f 1 <<<"$names" | sed 's/^/--/')" -- "$word")
    elif ((COMP_CWORD > at - 1)) && [[ $option == --* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(awk -F '\t' -v o="${option#--}" '$1 == o { print $4 }' <<<"$names")" -- "$word")
    fi
    if ((${#COMPREPLY[@]} == 0)); then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -F _topwork topwork
