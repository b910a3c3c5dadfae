function __fish_main-node_using_command
    set -l cmd (commandline -xpc)
    set -e cmd[1]
    set -l target_cmd $argv

    set -l known_value_flags 'after' 'config' 'database' 'decimal' 'format' 'from' 'key' 'listen' 'name' 'save' 'table' 'to' 'zone' 

    set -l i 1
    set -l cleaned_cmd
    while test $i -le (count $cmd)
        set -l arg $cmd[$i]
        if string match -q -- "-*" $arg
            set -l pure_flag (string replace -r '^--?' '' -- $arg)
            if contains -- $pure_flag $known_value_flags
                set -l next_i (math $i + 1)
                if test $next_i -le (count $cmd)
                    if not string match -q -- "-*" $cmd[$next_i]
                        set i $next_i
                    end
                end
            end
        else
            set -a cleaned_cmd $arg
        end
        set i (math $i + 1)
    end

    set -l count_cleaned (count $cleaned_cmd)
    set -l count_target (count $target_cmd)
    
    if test $count_cleaned -ne $count_target
        return 1
    end
    
    for i in (seq $count_target)
        if test $cleaned_cmd[$i] != $target_cmd[$i]
            return 1
        end
    end
    
    return 0
end

complete -c main-node -n '__fish_main-node_using_command' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command' -f -l version -d 'print the version'
complete -c main-node -n '__fish_main-node_using_command' -f -l config -r -d 'configuration file (default: ./main-node.toml, then /etc/main-node/main-node.toml)'
complete -c main-node -n '__fish_main-node_using_command' -f -l listen -r -d 'address or port to listen on, instead of those in the configuration; commas separate several'
complete -c main-node -n '__fish_main-node_using_command' -f -l database -r -d 'database file, instead of that in the configuration'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'serve' -d 'run the service: fetch, store, serve (the default without a command)'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'init' -d 'write a configuration for a source and try it: weather, meter, openapi, follow'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'demo' -d 'try it without a network: run the service with a simulated API'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'once' -d 'fetch every source once, print and explain records and issues, store nothing'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'pick' -d 'try a JSONPath on a response: print what it finds and the line for [source.records]'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'check' -d 'print the effective configuration and every problem found'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'operations' -d 'list the operations of an OpenAPI file, or the compiled-in ones, ready to paste as [[source]]'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'test-alert' -d 'send a test alert over every channel and print each step'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'rehearse' -d 'simulate a failure for each alert rule and print the alerts'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'licenses' -d 'print the licences of all compiled-in code'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'backup' -d 'copy the database while the service runs, and verify the copy'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'export' -d 'print stored records as CSV or JSON lines'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'import' -d 'import readings of another program: an SQLite file, CSV, or the output of export'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'rename' -d 'rename a key in everything that is stored; prints the command that undoes it'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'forget' -d 'delete readings, after they are saved as CSV that import takes back'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'healthcheck' -d 'check that the running node is healthy; exit status 0 if so, else 1'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'restore' -d 'replace the database by a copy of one; restarts the service'
complete -c main-node -n '__fish_main-node_using_command' -f -a 'pair' -d 'let the TRMNL device of a display get its key again, for 10 minutes'
complete -c main-node -n '__fish_main-node_using_command serve' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command serve' -f -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command serve' -f -l listen -r -d 'address or port to listen on'
complete -c main-node -n '__fish_main-node_using_command serve' -f -l database -r -d 'database file'
complete -c main-node -n '__fish_main-node_using_command init' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command init' -l name -r -d 'name of the source, instead of that of the case'
complete -c main-node -n '__fish_main-node_using_command init' -l add -d 'add the source to a configuration that is there'
complete -c main-node -n '__fish_main-node_using_command init' -l replace -d 'replace a configuration that is there; the old one is kept beside it, with the date'
complete -c main-node -n '__fish_main-node_using_command init' -l config -r -d 'configuration file to write (default: that of the installed service, else ./main-node.toml)'
complete -c main-node -n '__fish_main-node_using_command demo' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command demo' -f -l listen -r -d 'address or port to listen on (default: 127.0.0.1:8000)'
complete -c main-node -n '__fish_main-node_using_command demo' -f -l database -r -d 'database file to keep (default: a temporary one)'
complete -c main-node -n '__fish_main-node_using_command once' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command once' -f -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command pick' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command pick' -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command check' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command check' -f -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command check' -f -l listen -r -d 'address or port to listen on'
complete -c main-node -n '__fish_main-node_using_command check' -f -l database -r -d 'database file'
complete -c main-node -n '__fish_main-node_using_command check' -f -l online -d 'fetch each source too'
complete -c main-node -n '__fish_main-node_using_command operations' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command operations' -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command test-alert' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command test-alert' -f -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command rehearse' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command rehearse' -f -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command licenses' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command backup' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command backup' -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command backup' -l database -r -d 'database file'
complete -c main-node -n '__fish_main-node_using_command export' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command export' -f -l key -r -d 'only this key; may be given several times'
complete -c main-node -n '__fish_main-node_using_command export' -f -l from -r -d 'start, included: RFC 3339, a local date such as 2025-10-30, relative such as -24h, or seconds or milliseconds since 1970'
complete -c main-node -n '__fish_main-node_using_command export' -f -l to -r -d 'end, excluded, in the same forms; of a date the whole day is included'
complete -c main-node -n '__fish_main-node_using_command export' -f -l days -d 'a line for each key and local day'
complete -c main-node -n '__fish_main-node_using_command export' -f -l after -r -d 'only rows with a higher id, in the order of their arrival, with the id as the last column'
complete -c main-node -n '__fish_main-node_using_command export' -f -l plain -d 'CSV with all texts as they are, also those that a spreadsheet would run as a formula'
complete -c main-node -n '__fish_main-node_using_command export' -f -l format -r -d 'output format: csv (default) or jsonl'
complete -c main-node -n '__fish_main-node_using_command export' -f -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command export' -f -l database -r -d 'database file'
complete -c main-node -n '__fish_main-node_using_command import' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command import' -l zone -r -d 'time zone of times without an offset, such as Europe/Berlin (default: UTC)'
complete -c main-node -n '__fish_main-node_using_command import' -l table -r -d 'table of an SQLite file (default: records)'
complete -c main-node -n '__fish_main-node_using_command import' -l decimal -r -d 'decimal mark of numbers in texts: . or , (the other one groups thousands)'
complete -c main-node -n '__fish_main-node_using_command import' -l replace -d 'replace readings that are stored with another value; without it the stored ones stay'
complete -c main-node -n '__fish_main-node_using_command import' -l any-unit -d 'also values of keys whose unit has another name in the file; nothing is converted'
complete -c main-node -n '__fish_main-node_using_command import' -l dry-run -d 'read and check the file, print what would be imported, store nothing'
complete -c main-node -n '__fish_main-node_using_command import' -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command import' -l database -r -d 'database file'
complete -c main-node -n '__fish_main-node_using_command rename' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command rename' -l from -r -d 'only readings from then on: 2025-10-30T20:00:00Z, 2025-10-30 or -24h'
complete -c main-node -n '__fish_main-node_using_command rename' -l to -r -d 'only readings before then; a date is included'
complete -c main-node -n '__fish_main-node_using_command rename' -l merge -d 'also where NEW has readings of its own at the same times'
complete -c main-node -n '__fish_main-node_using_command rename' -l any-unit -d 'also where NEW has a unit of another name; nothing is converted'
complete -c main-node -n '__fish_main-node_using_command rename' -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command rename' -l database -r -d 'database file'
complete -c main-node -n '__fish_main-node_using_command forget' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command forget' -l from -r -d 'only readings from then on: 2025-10-30T20:00:00Z, 2025-10-30 or -24h'
complete -c main-node -n '__fish_main-node_using_command forget' -l to -r -d 'only readings before then; a date is included'
complete -c main-node -n '__fish_main-node_using_command forget' -l save -r -d 'file for what is deleted (default: the database\'s name and .forgotten-DATE.csv)'
complete -c main-node -n '__fish_main-node_using_command forget' -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command forget' -l database -r -d 'database file'
complete -c main-node -n '__fish_main-node_using_command healthcheck' -f -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command healthcheck' -f -l config -r -d 'configuration file of the running node'
complete -c main-node -n '__fish_main-node_using_command healthcheck' -f -l listen -r -d 'address or port that it listens on'
complete -c main-node -n '__fish_main-node_using_command restore' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command restore' -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command restore' -l database -r -d 'database file'
complete -c main-node -n '__fish_main-node_using_command pair' -l help -d 'display usage information'
complete -c main-node -n '__fish_main-node_using_command pair' -l config -r -d 'configuration file'
complete -c main-node -n '__fish_main-node_using_command pair' -l database -r -d 'database file; the keys are beside it'
