# fish completion for trunkline
function _trunkline_completion
    set -l words (commandline -cp)
    set -l begun (commandline -t)
    set -lx _TRUNKLINE_COMPLETE fish_complete
    for completion in (env COMP_WORDS="$words" COMP_CWORD="$begun" trunkline)
        set -l parts (string split -m 1 "," -- $completion)
        switch $parts[1]
            case plain
                printf "%s\n" $parts[2]
            case file
                __fish_complete_path $parts[2]
            case dir
                __fish_complete_directories $parts[2]
        end
    end
end

complete --no-files --command trunkline --arguments "(_trunkline_completion)"
