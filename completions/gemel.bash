# completions/gemel.bash - completion for bash: source it, or copy it to
# /usr/share/bash-completion/completions/gemel.
#
# Verbs and options are read from the program's own --help, so they are those of the gemel at hand; without it
# the verbs are still known.

_gemel_verbs() {
    local found
    found=$("$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p')
    echo "${found:-bench check compare compile eval export info kernels pictures run train weights}"
}

_gemel_options() {
    "$1" "$2" --help 2>/dev/null |
        sed -n 's/^  \(-[a-z], \)\{0,1\}\(--[a-z-]*\)\( [A-Za-z]\{1,\}.*\)\{0,1\}  .*/\2/p'
}

# The inputs of the model on the command line, as NAME=.
_gemel_inputs() {
    local program=$1 word
    shift
    for word in "$@"; do
        case $word in
        *.onnx | *.gir | *.so)
            "$program" info "$word" 2>/dev/null |
                sed -n '/^inputs$/,/^outputs$/s/^  \(.*\): [^:]*$/\1=/p'
            return
            ;;
        esac
    done
}

_gemel() {
    local program=${COMP_WORDS[0]} verb=${COMP_WORDS[1]} current previous
    COMPREPLY=()
    current=${COMP_WORDS[COMP_CWORD]}
    previous=${COMP_WORDS[COMP_CWORD - 1]}
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$(_gemel_verbs "$program") --help" -- "$current")
        return
    fi
    if [[ $current == = ]]; then # --option=: bash splits words there
        current='' previous=${COMP_WORDS[COMP_CWORD - 1]}
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $previous in
    --device)
        mapfile -t COMPREPLY < <(compgen -W 'cpu cuda emu ref' -- "$current")
        return
        ;;
    --precision)
        mapfile -t COMPREPLY < <(compgen -W 'highest medium' -- "$current")
        return
        ;;
    --against)
        mapfile -t COMPREPLY < <(compgen -W 'cpu cuda emu ref' -- "$current"; compgen -f -- "$current")
        return
        ;;
    --off)
        mapfile -t COMPREPLY < <(compgen -W "$("$program" compare --list-passes 2>/dev/null |
            sed -n 's/^\([a-z]*\) *optional .*/\1/p')" -- "$current")
        return
        ;;
    --dump)
        mapfile -t COMPREPLY < <(compgen -W 'ir loops llvm asm' -- "$current")
        return
        ;;
    --color)
        mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current")
        return
        ;;
    --mask)
        mapfile -t COMPREPLY < <(compgen -W 'block random' -- "$current")
        return
        ;;
    --features)
        mapfile -t COMPREPLY < <(compgen -W 'cls mean tokens' -- "$current")
        return
        ;;
    --method)
        mapfile -t COMPREPLY < <(compgen -W 'knn ridge linear fewshot finetune' -- "$current")
        return
        ;;
    --map)
        mapfile -t COMPREPLY < <(compgen -W "$("$program" weights maps 2>/dev/null |
            sed 's/ .*//') auto" -- "$current")
        return
        ;;
    --train | --test)
        [[ $verb == eval ]] && mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --filter)
        [[ $verb == eval ]] && mapfile -t COMPREPLY < <(compgen -W 'bicubic bilinear' -- "$current")
        return
        ;;
    --output-dir | --data | --run)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --input | -i)
        compopt -o nospace
        mapfile -t COMPREPLY < <(compgen -W "$(_gemel_inputs "$program" "${COMP_WORDS[@]:2}")" -- "$current")
        ((${#COMPREPLY[@]})) || mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --dim | --threads | --seed | --memory | --mean | --std | --rtol | --atol | --type | --heads | --patch | --prefix | --leave) return ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_gemel_options "$program" "$verb")" -- "$current")
        return
    fi
    if [[ $verb == kernels && $COMP_CWORD == 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'list test grad' -- "$current")
        return
    fi
    if [[ $verb == pictures && $COMP_CWORD == 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'shapes1 shapes digits' -- "$current")
        return
    fi
    if [[ $verb == weights && $COMP_CWORD == 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'list map convert maps' -- "$current")
        return
    fi
    if [[ $verb == export ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" export --list 2>/dev/null | sed -n 's/^\([a-z][a-z0-9_]*\).*/\1/p')" -- "$current")
        ((${#COMPREPLY[@]})) && return
    fi
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    compopt -o filenames
}

complete -F _gemel gemel
