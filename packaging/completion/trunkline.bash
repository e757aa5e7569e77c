# bash completion for trunkline (bash 4.4 or later)
_trunkline_completion() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
        esac
    done < <(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \
        _TRUNKLINE_COMPLETE=bash_complete "$1")
}

complete -o nosort -F _trunkline_completion trunkline
