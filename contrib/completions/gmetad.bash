# bash completion of gmetad(8). `contrib/gmetad.conf` and the manual say what the options do.

_gmetad() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    # bash takes an equals sign for a word of its own.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $before in
        -c | --conf | -l | --logfile | -p | --pid_file | --pid-file | --test-plugin | --input)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            compopt -o filenames 2>/dev/null
            return
            ;;
        -d | --debug)
            mapfile -t COMPREPLY < <(compgen -W '0 1 2 3 4 5' -- "$word")
            return
            ;;
        -x | --xml_port | -i | --interactive_port)
            return
            ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--conf --foreground --debug --logfile --pid_file
            --pid-file --xml_port --interactive_port --test-config --print-config --once --heal-rrds
            --test-plugin --input --version --help -c -f -d -l -p -x -i -t -V -h' -- "$word")
    elif [[ " ${COMP_WORDS[*]} " == *' --heal-rrds '* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
    fi
}

complete -F _gmetad gmetad
