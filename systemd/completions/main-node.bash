_main-node() {
    local i cur prev opts cmds
    COMPREPLY=()
    cur="${COMP_WORDS[COMP_CWORD]}"
    if [[ $COMP_CWORD -ge 1 ]]; then
        prev="${COMP_WORDS[COMP_CWORD-1]}"
    else
        prev=""
    fi
    cmd=""
    opts=""

    for i in ${COMP_WORDS[@]}; do
        case "${i}" in
            main-node | */main-node)
                cmd="main-node"
                ;;
            serve)
                cmd="main-node_serve"
                ;;
            init)
                cmd="main-node_init"
                ;;
            demo)
                cmd="main-node_demo"
                ;;
            once)
                cmd="main-node_once"
                ;;
            pick)
                cmd="main-node_pick"
                ;;
            check)
                cmd="main-node_check"
                ;;
            operations)
                cmd="main-node_operations"
                ;;
            test-alert)
                cmd="main-node_test-alert"
                ;;
            rehearse)
                cmd="main-node_rehearse"
                ;;
            licenses)
                cmd="main-node_licenses"
                ;;
            backup)
                cmd="main-node_backup"
                ;;
            export)
                cmd="main-node_export"
                ;;
            import)
                cmd="main-node_import"
                ;;
            rename)
                cmd="main-node_rename"
                ;;
            forget)
                cmd="main-node_forget"
                ;;
            healthcheck)
                cmd="main-node_healthcheck"
                ;;
            restore)
                cmd="main-node_restore"
                ;;
            pair)
                cmd="main-node_pair"
                ;;
        esac
    done

    case "${cmd}" in
        main-node)
            opts="--help --version --config --listen --database"
            cmds="serve init demo once pick check operations test-alert rehearse licenses backup export import rename forget healthcheck restore pair"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --listen)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_serve)
            opts="--help --config --listen --database"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --listen)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_init)
            opts="--help --name --add --replace --config"
            case "${prev}" in
                --name)
                    COMPREPLY=()
                    return 0
                    ;;
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_demo)
            opts="--help --listen --database"
            case "${prev}" in
                --listen)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_once)
            opts="--help --config"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_pick)
            opts="--help --config"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_check)
            opts="--help --config --listen --database --online"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --listen)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_operations)
            opts="--help --config"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_test-alert)
            opts="--help --config"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_rehearse)
            opts="--help --config"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_licenses)
            opts="--help"
            case "${prev}" in
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_backup)
            opts="--help --config --database"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_export)
            opts="--help --key --from --to --days --after --plain --format --config --database"
            case "${prev}" in
                --key)
                    COMPREPLY=()
                    return 0
                    ;;
                --from)
                    COMPREPLY=()
                    return 0
                    ;;
                --to)
                    COMPREPLY=()
                    return 0
                    ;;
                --after)
                    COMPREPLY=()
                    return 0
                    ;;
                --format)
                    COMPREPLY=()
                    return 0
                    ;;
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_import)
            opts="--help --zone --table --decimal --replace --any-unit --dry-run --config --database"
            case "${prev}" in
                --zone)
                    COMPREPLY=()
                    return 0
                    ;;
                --table)
                    COMPREPLY=()
                    return 0
                    ;;
                --decimal)
                    COMPREPLY=()
                    return 0
                    ;;
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_rename)
            opts="--help --from --to --merge --any-unit --config --database"
            case "${prev}" in
                --from)
                    COMPREPLY=()
                    return 0
                    ;;
                --to)
                    COMPREPLY=()
                    return 0
                    ;;
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_forget)
            opts="--help --from --to --save --config --database"
            case "${prev}" in
                --from)
                    COMPREPLY=()
                    return 0
                    ;;
                --to)
                    COMPREPLY=()
                    return 0
                    ;;
                --save)
                    COMPREPLY=()
                    return 0
                    ;;
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_healthcheck)
            opts="--help --config --listen"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --listen)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_restore)
            opts="--help --config --database"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        main-node_pair)
            opts="--help --config --database"
            case "${prev}" in
                --config)
                    COMPREPLY=()
                    return 0
                    ;;
                --database)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
    esac
}

complete -F _main-node -o bashdefault -o default main-node
