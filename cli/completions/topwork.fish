# fish completion for topwork: asks the program itself, so it cannot fall behind.
function __topwork_command
    set -l words (commandline -opc)
    test (count $words) -gt 1; or return 1
    test "$words[2]" = backbone; and echo $words[2..3] | string split ' '; or echo $words[2]
end

function __topwork_options
    topwork __options (__topwork_command) 2>/dev/null | while read -d \t name letter kind choices
        echo --$name
        for word in (string split ' ' -- $choices)
            test -n "$word"; and echo --$name=$word
        end
    end
end

complete -c topwork -n 'test (count (commandline -opc)) -eq 1' -f \
    -a '(topwork __options 2>/dev/null | string split -f 1 " " | sort -u)'
complete -c topwork -n 'test (count (commandline -opc)) -eq 2; and __fish_seen_subcommand_from backbone' -f \
    -a 'list info pull import calibrate'
complete -c topwork -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__topwork_options)'
