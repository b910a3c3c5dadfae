#!/usr/bin/env bash
# Puts the main-node beside this file in its place on this machine, or gives the old one back:
#
#   sudo ./install.sh           what `make deploy` runs on the Pi; a second time changes nothing
#   sudo ./install.sh --remove  stops and removes the program; configuration and readings stay
#   sudo ./install.sh --purge   removes those too, and the service's user
#
# The new program checks the configuration before anything is switched, as the service's user
# with the service's secrets. The switch is a success when the new program is healthy and has
# tried a fetch; otherwise the old program comes back, and with it the database as it was
# before an upgrade. A source that does not answer is no reason: that is tomorrow's weather.
#
# Beside the Debian package nothing is installed: both have a unit of the same name.
set -u
cd "$(dirname "$0")" || exit 1

PROGRAM=/usr/local/bin/main-node
CONFIG=/etc/main-node/main-node.toml
UNIT=/etc/systemd/system/main-node.service
SYSUSERS=/etc/sysusers.d/main-node.conf
# Where avahi is installed: announces the pages of this node in the local network.
AVAHI=/etc/avahi/services/main-node.service
# What has to be beside this file and the program; `make dist` and `make deploy` read this line.
FILES="main-node.service main-node.sysusers main-node.avahi.service main-node.toml main-node.1 main-node.toml.5 completions/main-node.bash completions/_main-node completions/main-node.fish"
# From the start to a healthy node that has tried a fetch. A Zero migrates slowly.
PATIENCE=${PATIENCE:-120}

main() {
    case ${1:-} in
    "") ;;
    # --uninstall: its earlier name.
    --remove | --uninstall | --purge)
        [ "$(id -u)" = 0 ] || fail "this has to run as root: sudo $0 $1"
        remove "$1"
        exit
        ;;
    *) fail "usage: sudo $0 [--remove | --purge]" ;;
    esac
    [ "$(id -u)" = 0 ] || fail "this has to run as root: sudo $0"
    [ -x ./main-node ] || fail "there is no main-node beside $0 to install"
    for file in $FILES; do [ -e "$file" ] || fail "$file is missing beside $0: unpack the whole archive"; done
    ! has_package || refuse_beside_package
    build=$(digest ./main-node)
    ./main-node --version >/dev/null || fail "this main-node does not run on this machine ($(uname -m)): it was built for another architecture"

    say "main-node build $build"
    install_once
    install_docs
    # Beside the old one, in the same directory: the switch is one rename.
    install -m 755 main-node $PROGRAM.new || fail "the program cannot be copied to $PROGRAM.new"
    check_there || {
        rm -f $PROGRAM.new
        fail "nothing was switched: fix the problems above and deploy again"
    }
    if [ -e $PROGRAM ] && cmp -s $PROGRAM $PROGRAM.new && cmp -s main-node.service $UNIT && systemctl is-active --quiet main-node; then
        rm -f $PROGRAM.new
        announce
        say "this build is already running; nothing to do"
        name_page
        exit 0
    fi
    switch
    if healthy; then
        announce
        say "deployed: build $build is healthy and has requested a source"
        name_page
        exit 0
    fi
    roll_back
    exit 1
}

# ---- Steps --------------------------------------------------------------------------------

# Whether the Debian package is installed; its version is $package then.
has_package() {
    package=$(dpkg-query --show --showformat='${db:Status-Status} ${Version}' main-node 2>/dev/null) || return 1
    case $package in "not-installed "* | "config-files "*) return 1 ;; esac
    package=${package#* }
}

refuse_beside_package() {
    local runs=/usr/bin/main-node keep="sudo apt install ./main-node_VERSION_ARCHITECTURE.deb upgrades it"
    if [ -e $UNIT ]; then
        runs="$PROGRAM, because $UNIT wins over the package's unit"
        keep="sudo $0 --remove && sudo dpkg-reconfigure main-node"
    fi
    say "The Debian package main-node $package is installed on this machine; the service runs $runs."
    say "Nothing was changed. Use one of the two; configuration and readings stay:"
    say "    the package:   $keep"
    say "    this program:  sudo apt remove main-node && sudo $0"
    exit 1
} >&2

# What only the first deploy does.
install_once() {
    first=no
    [ -e $UNIT ] || first=yes
    if [ ! -e $CONFIG ]; then
        install -D -m 644 main-node.toml $CONFIG || fail "$CONFIG cannot be written"
        say "created $CONFIG from the example. For a source of your own: sudo main-node init"
    fi
    install -D -m 644 main-node.sysusers $SYSUSERS
    # Beside a service whose user systemd makes up while it runs (DynamicUser=, until 0.1), the
    # name is taken: `switch` makes the user when that service has stopped.
    is_dynamic || make_user || fail "the user main-node cannot be created"
}

# Whether systemd makes the user of the installed unit up.
is_dynamic() { systemctl cat main-node.service 2>/dev/null | grep -qE '^DynamicUser=(yes|true|on|1)'; }

# The service's user, as an entry in /etc/passwd.
make_user() {
    has_user || { command -v systemd-sysusers >/dev/null && systemd-sysusers $SYSUSERS; }
    has_user || useradd --system --user-group --no-create-home --home-dir /var/lib/main-node --shell /usr/sbin/nologin main-node
    has_user
}

has_user() { grep -q '^main-node:' /etc/passwd; }

# The manual pages and the completions, where a system looks for them.
install_docs() {
    install -D -m 644 main-node.1 /usr/local/share/man/man1/main-node.1
    install -D -m 644 main-node.toml.5 /usr/local/share/man/man5/main-node.toml.5
    install -D -m 644 completions/main-node.bash /usr/local/share/bash-completion/completions/main-node
    install -D -m 644 completions/_main-node /usr/local/share/zsh/site-functions/_main-node
    install -D -m 644 completions/main-node.fish /usr/local/share/fish/vendor_completions.d/main-node.fish
}

# As the unit's user, with its directories and its secrets.
check_there() {
    local said status
    said=$(as_unit $PROGRAM.new check --config $CONFIG 2>&1)
    status=$?
    if [ $status -ne 0 ]; then
        printf '%s\n' "$said" >&2
        return 1
    fi
    printf '%s\n' "$said" | grep -E '^(note|NOT CHECKED|[0-9]+ problem)' || true
}

# Runs a command as who the unit is, with what the unit may read.
as_unit() {
    local properties
    mapfile -t properties < <(unit_properties)
    systemd-run --quiet --wait --pipe --collect "${properties[@]}" "$@"
}

# Of the installed unit, else of the one beside this file; drop-ins may be there before either (`--remove` keeps them).
unit_properties() {
    { systemctl cat main-node.service 2>/dev/null || cat main-node.service $UNIT.d/*.conf 2>/dev/null; } |
        sed -nE 's/^((DynamicUser|User|Group|StateDirectory|StateDirectoryMode|ConfigurationDirectory|WorkingDirectory|Environment|EnvironmentFile|LoadCredential|LoadCredentialEncrypted|SetCredential)=.*)/--property=\1/p'
}

switch() {
    begun=$(date +%s)
    rm -f $PROGRAM.old $UNIT.old
    if [ -e $PROGRAM ]; then cp -p $PROGRAM $PROGRAM.old || fail "the old program cannot be kept as $PROGRAM.old"; fi
    if [ -e $UNIT ]; then cp -p $UNIT $UNIT.old || fail "the old unit cannot be kept as $UNIT.old"; fi
    if is_dynamic; then
        systemctl stop main-node
        make_user || {
            systemctl start main-node
            rm -f $PROGRAM.new
            fail "the user main-node cannot be created; nothing was switched"
        }
    fi
    install -m 644 main-node.service $UNIT || fail "$UNIT cannot be written"
    mv -f $PROGRAM.new $PROGRAM || fail "$PROGRAM cannot be replaced"
    systemctl daemon-reload
    own_state
    systemctl enable --quiet main-node
    # What the old program says while it stops is not the new one's.
    bounded_stop
    cursor=$(journalctl --quiet --lines=0 --show-cursor 2>/dev/null | sed -n 's/^-- cursor: //p')
    # Not waited for: a program that never gets ready would hold this up for TimeoutStartSec.
    systemctl start --no-block main-node
}

# Stops the service within about 8 s: a program that does not end by then is killed, which the
# database survives.
bounded_stop() {
    local until=$((SECONDS + 8))
    systemctl stop --no-block main-node 2>/dev/null
    while is_running; do
        if [ $SECONDS -ge $until ]; then
            systemctl kill --signal=SIGKILL main-node
            systemctl stop main-node
            return
        fi
        sleep 0.2
    done
}

is_running() {
    case $(systemctl show --property=ActiveState --value main-node) in
    active | activating | deactivating | reloading) true ;;
    *) systemctl is-active --quiet main-node ;;
    esac
}

# What the service has said since the switch.
last_words() {
    local since=(--since "@$begun")
    [ -z "$cursor" ] || since=(--after-cursor "$cursor")
    journalctl --unit main-node "${since[@]}" --lines 15 --no-pager --output cat 2>/dev/null | sed 's/^/    /' >&2
}

# Gives the state directory of a DynamicUser= to the service's own user. systemd moves it from
# /var/lib/private by itself at the start, but from 254 on leaves its files nobody's and shows
# them to the service alone as its own; commands beside the service see them as they are.
own_state() {
    local user
    user=$(systemctl show --property=User --value main-node)
    user=${user:-main-node}
    if [ -d /var/lib/main-node/ ] && [ "$(stat -Lc %U /var/lib/main-node)" != "$user" ]; then
        systemctl stop main-node
        chown -R "$user:" /var/lib/main-node/ || say "/var/lib/main-node cannot be given to $user; the service can use it all the same"
    fi
}

# Gives the old program back, and with it the database that it knows.
roll_back() {
    say "the new program is not healthy within $PATIENCE s; its last log lines:"
    last_words
    bounded_stop
    if [ ! -e $PROGRAM.old ]; then
        [ $first = no ] || systemctl disable --quiet main-node
        say "there is no older program to roll back to; main-node is stopped"
        return
    fi
    mv -f $PROGRAM.old $PROGRAM
    if [ -e $UNIT.old ]; then mv -f $UNIT.old $UNIT; fi
    restore_database
    systemctl daemon-reload
    systemctl start --no-block main-node
    build=$(digest $PROGRAM)
    if healthy; then
        say "rolled back: build $build runs as before"
    else
        say "rolled back to build $build, which is not healthy either: journalctl -u main-node"
    fi
}

# Puts the service file of avahi in its place, with the port that the node listens on; of one that
# is there, only the port is changed. A node that listens on this machine alone is not announced.
announce() {
    local listen port
    [ -d "$(dirname $AVAHI)" ] || return 0
    [ -n "${effective:-}" ] || read_configuration
    listen=$(configured listen | grep -oE '"[^"]+"' | tr -d '"' | grep -vE '^(127\.|\[::1\])' | head -n 1)
    port=${listen##*:}
    case $port in "" | *[!0-9]*) return 0 ;; esac
    [ -e $AVAHI ] || install -m 644 main-node.avahi.service $AVAHI || {
        say "$AVAHI cannot be written; the node is not announced"
        return 0
    }
    grep -q "<port>$port</port>" $AVAHI || sed -i -E "s|<port>[0-9]*</port>|<port>$port</port>|" $AVAHI
}

# Removes what this script has put in place. The configuration and the readings stay, unless they
# are to go too; those that the Debian package uses are that package's to remove.
remove() {
    local database="" path kept=()
    if has_package && [ ! -e $PROGRAM ] && [ ! -e $UNIT ]; then
        say "the main-node of this machine is a Debian package ($package), not one of $0: sudo apt remove main-node (or purge)"
        return
    fi
    if [ -x $PROGRAM ] && [ -e $CONFIG ]; then
        read_configuration
        database=$(configured database)
    fi
    bounded_stop
    systemctl disable --quiet main-node 2>/dev/null
    rm -f $PROGRAM $PROGRAM.old $PROGRAM.new $UNIT $UNIT.old $AVAHI
    rm -f /usr/local/share/man/man1/main-node.1 /usr/local/share/man/man5/main-node.toml.5 \
        /usr/local/share/bash-completion/completions/main-node \
        /usr/local/share/zsh/site-functions/_main-node /usr/local/share/fish/vendor_completions.d/main-node.fish
    systemctl daemon-reload
    if has_package; then
        # The package's own is in /usr/lib.
        rm -f $SYSUSERS
        say "the main-node of $0 is removed; configuration and readings are those of the Debian package ($package) now"
        say "start it: sudo dpkg-reconfigure main-node"
        [ "$1" != --purge ] || say "to remove all of it: sudo apt purge main-node"
        return
    fi
    if [ "$1" = --purge ]; then
        # systemd keeps the state of a DynamicUser= in private/, behind a link.
        rm -rf /etc/main-node $UNIT.d /var/lib/main-node /var/lib/private/main-node
        rm -f $SYSUSERS
        ! has_user || userdel main-node || say "the user main-node cannot be removed"
    fi
    case $database in /var/lib/main-node/*) database="" ;; esac
    for path in /etc/main-node $UNIT.d /var/lib/main-node "$database"; do
        [ -z "$path" ] || [ ! -e "$path" ] || kept+=("$path")
    done
    say "main-node is removed"
    [ ${#kept[@]} -eq 0 ] || say "kept: ${kept[*]}"
    [ "$1" = --purge ] || [ ${#kept[@]} -eq 0 ] || say "$0 --purge removes configuration and readings too"
}

# An upgrade leaves a copy from before it: that is what the old program can read. What the new
# one wrote is kept, dated.
restore_database() {
    local database copy kept side
    read_configuration
    database=$(configured database)
    for copy in "$database".before-version-*; do
        # Only one that this deploy made.
        [ -e "$copy" ] && [ "$(stat -c %Y "$copy")" -ge "$begun" ] || continue
        kept=$database.rolled-back-$(date -u +%Y%m%dT%H%M%SZ)
        for side in "" -wal -shm; do
            if [ -e "$database$side" ]; then mv -f "$database$side" "$kept$side"; fi
        done
        mv -f "$copy" "$database"
        say "the database is the one from before the upgrade; the newer one is kept as $kept"
        return
    done
}

# ---- What the node says -------------------------------------------------------------------

# Within PATIENCE: /healthz is 200, /status names our build and a fetch was tried.
healthy() {
    local status address
    read_configuration
    address=$(address)
    SECONDS=0
    while [ $SECONDS -lt "$PATIENCE" ]; do
        if ! systemctl is-active --quiet main-node && [ "$(systemctl show --property=Result --value main-node)" = exit-code ]; then
            # Exit 2 is not started again; anything else is, and may get well.
            [ "$(systemctl show --property=ExecMainStatus --value main-node)" != 2 ] || return 1
        fi
        if [ "$(get "$address" /healthz | head -n 1 | cut -d' ' -f2)" = 200 ]; then
            status=$(get "$address" /status)
            case $status in *"\"build\":\"$build\""*)
                case $status in *'"attempts":'[1-9]*) return 0 ;; esac ;;
            esac
        fi
        sleep 1
    done
    return 1
}

# The first address that it listens on, as one that can be called.
address() {
    configured listen | sed -E 's/^\[?"?([^",]*).*/\1/; s/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/[::1]:/'
}

# The effective configuration, for `configured`.
read_configuration() {
    effective=$(as_unit $PROGRAM check --config $CONFIG 2>/dev/null)
}

# A value of the effective configuration.
configured() {
    printf '%s\n' "$effective" | sed -nE "s/^$1 = \"?([^\"].*[^\"])\"?$/\1/p" | head -n 1
}

# GET without a program that a small system may lack.
get() {
    local host=${1%:*} port=${1##*:} password=""
    host=${host#[}
    if [ -n "$(configured password_file)" ]; then
        password="Authorization: Basic $(printf ':%s' "$(head -n 1 "$(configured password_file)")" | base64 -w 0)"$'\r\n'
    fi
    {
        exec 3<>"/dev/tcp/${host%]}/$port" &&
            printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n' "$2" "$password" >&3 &&
            timeout 3 cat <&3
        exec 3>&-
    } 2>/dev/null
}

# Where the pages are, as the new program says.
name_page() {
    local pages
    [ -n "${effective:-}" ] || read_configuration
    pages=$(printf '%s\n' "$effective" | sed -n 's/^page: //p' | sed ':a; N; $!ba; s/\n/ or /g')
    [ -z "$pages" ] || say "open $pages"
}

digest() { sha256sum "$1" | cut -c 1-12; }

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

main "$@"
