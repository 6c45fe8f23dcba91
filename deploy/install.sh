#!/usr/bin/env bash
# Installs the bot on a Debian machine from the directory that this script lies in, or a release over an earlier one.
#
#   deploy/install.sh install     put everything into place; start it once there is a bot token
#   deploy/install.sh upgrade     this release instead of the one that runs; back to that one when it does not get well
#   deploy/install.sh rollback    back to the release before
#   deploy/install.sh status      what is installed, and how it is
#   deploy/install.sh uninstall   away with it; settings and data stay, unless --purge
#
# Each may be said again: what is in place stays. --root DIR puts files below DIR and leaves users and services alone.
set -euo pipefail

NAME=token-filter-bot
BOT_USER=tokenfilterbot
PYTHON=${PYTHON:-python3}
HEALTHY_WITHIN_S=${HEALTHY_WITHIN_S:-120}
STEADY_S=${STEADY_S:-5}
KEPT_RELEASES=3
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ROOT=

say() { printf '%s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

# --- what there is ----------------------------------------------------------------------------------------------------

is_system() { [ -z "$ROOT" ]; }
# SYSTEMCTL names another program that takes its commands.
has_services() { [ -n "${SYSTEMCTL:-}" ] || { is_system && [ -d /run/systemd/system ]; }; }
systemd() { "${SYSTEMCTL:-systemctl}" "$@"; }
release_of() { [ -L "$1" ] && basename "$(readlink "$1")" || true; }
current() { release_of "$HOME_DIR/current"; }
schema_of() { basename "$(printf '%s\n' "$1"/migrations/versions/r[0-9]*.py | sort | tail -n 1)" | sed 's/^r\([0-9]*\)_.*/\1/'; }
setting() { sed -n "s/^$1=//p" "$2" 2>/dev/null | tail -n 1 | sed 's/^"\(.*\)"$/\1/'; }
has_token() { [ -s "$SECRETS/telegram_bot_token" ] || [ -n "$(setting TELEGRAM_BOT_TOKEN "$SETTINGS")" ]; }
running_units() {
    has_services || return 0
    systemd list-units --plain --no-legend --state=active,activating,reloading "$NAME*.service" |
        awk '{print $1}' | grep -v "^$NAME-migrate" || true
}

# --- parts of an installation -----------------------------------------------------------------------------------------

# What of the source is a release: all that runs, and what an operator reads.
files() {
    tar -C "$SOURCE" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        --exclude='./.*' --exclude=./data --exclude=./logs --exclude=./secrets --exclude=./tests --exclude=./benchmarks \
        --exclude=__pycache__ --exclude='requirements-dev.*' -cf - .
}

ensure_user() {
    is_system || return 0
    id "$BOT_USER" >/dev/null 2>&1 ||
        useradd --system --user-group --no-create-home --home-dir "/var/lib/$NAME" --shell /usr/sbin/nologin "$BOT_USER"
}

ensure_settings() {
    install -d -m 0755 "$ROOT/etc"
    install -d -m 0700 "$SECRETS"
    [ -e "$SETTINGS" ] || install -m 0600 "$SOURCE/.env.example" "$SETTINGS"
}

# One virtual environment for all releases with the same requirements.
ensure_environment() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$PYTHON has to be Python 3.11 or newer"
    local key directory
    key=$({ "$PYTHON" -c 'import sys; print(sys.version, sys.prefix)'; cat "$SOURCE/requirements.txt"; } | sha256sum | cut -c1-12)
    directory=$HOME_DIR/venvs/$key
    if [ ! -e "$directory/complete" ]; then
        "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || die "apt-get install python3-venv"
        say "Installing what the bot needs into $directory"
        rm -rf "$directory"
        "$PYTHON" -m venv "$directory"
        "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r "$SOURCE/requirements.txt"
        touch "$directory/complete"
    fi
    ENVIRONMENT=$key
}

ensure_release() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$SOURCE/pyproject.toml" | head -n 1)
    RELEASE=${version:?no version in pyproject.toml}-$(files | sha256sum | cut -c1-12)
    [ ! -e "$HOME_DIR/releases/$RELEASE/complete" ] || return 0
    local new=$HOME_DIR/releases/$RELEASE
    rm -rf "$new"
    install -d -m 0755 "$HOME_DIR" "$HOME_DIR/releases" "$HOME_DIR/venvs" "$new"
    ensure_environment
    files | tar -C "$new" -xf -
    ln -s "../../venvs/$ENVIRONMENT" "$new/.venv"
    "$new/.venv/bin/python" -m compileall -q "$new" -x '/\.venv/' || die "release $RELEASE does not compile"
    touch "$new/complete"
    say "Release $RELEASE is in $new"
}

# Accounts that listen to channels (TELEGRAM_API_ID) need a library that nobody else does.
ensure_session_library() {
    [ -n "$(setting TELEGRAM_API_ID "$SETTINGS")" ] || [ -s "$SECRETS/telegram_api_id" ] || return 0
    local python=$HOME_DIR/releases/$RELEASE/.venv/bin/python
    "$python" -c 'import telethon' 2>/dev/null ||
        "$python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r "$SOURCE/requirements-session.txt"
}

# Units and rotation of the release that is current: a way back takes them along.
ensure_units() {
    local from=$1
    install -d -m 0755 "$UNITS" "$ROOT/etc/logrotate.d" &&
        install -m 0644 "$from"/systemd/*.service "$UNITS/" &&
        install -m 0644 "$from/deploy/logrotate/$NAME" "$ROOT/etc/logrotate.d/$NAME" &&
        { ! has_services || systemd daemon-reload; }
}

point() { # LINK RELEASE: in one step, so that there is always one
    ln -sfn "releases/$2" "$HOME_DIR/$1.new"
    mv -T "$HOME_DIR/$1.new" "$HOME_DIR/$1"
}

forget_old_releases() {
    local kept
    kept=$({ release_of "$HOME_DIR/current"; release_of "$HOME_DIR/previous"; ls -1t "$HOME_DIR/releases"; } |
        awk 'NF && !seen[$0]++' | head -n "$KEPT_RELEASES")
    local path
    for path in "$HOME_DIR"/releases/*; do
        grep -qxF "$(basename "$path")" <<<"$kept" || rm -rf "$path"
    done
    for path in "$HOME_DIR"/venvs/*; do
        readlink "$HOME_DIR"/releases/*/.venv | grep -qxF "../../venvs/$(basename "$path")" || rm -rf "$path"
    done
}

# --- from one release to another --------------------------------------------------------------------------------------

# The schema that a release needs, brought about by the newer of the two, as only that one knows the way.
migrate() { # RELEASE [REVISION]
    point next "$1" || return 1
    has_services || { say "No systemd here: the bot migrates at its start."; return 0; }
    local arguments="$HOME_DIR/migrate.env"
    printf 'ARGUMENTS=%s\n' "${2:+--to $2}" >"$arguments" && systemd start "$NAME-migrate.service"
}

stop() { [ $# -eq 0 ] || { say "Stopping $*"; systemd stop "$@"; }; }

start_and_look() { # UNIT...
    [ $# -gt 0 ] || return 0
    systemd reset-failed "$@" 2>/dev/null || true
    systemd start --no-block "$@"
    local unit deadline=$((SECONDS + HEALTHY_WITHIN_S))
    for unit in "$@"; do
        until [ "$(systemd is-active "$unit" || true)" = active ]; do
            [ "$SECONDS" -lt "$deadline" ] || { say "$unit is not ready after $HEALTHY_WITHIN_S s"; return 1; }
            sleep 0.2
        done
        answers "$unit" "$((deadline - SECONDS))" || return 1
    done
    sleep "$STEADY_S"
    for unit in "$@"; do
        [ "$(systemd is-active "$unit" || true)" = active ] || { say "$unit has ended again"; return 1; }
    done
}

answers() { # UNIT SECONDS: asks /healthz of a unit whose port is known
    local port instance=${1#"$NAME"}
    instance=${instance%.service}
    if [ -n "$instance" ]; then
        port=$(setting HTTP_PORT "$ROOT/etc/$NAME/${instance#@}.env")
    else
        port=$(setting HTTP_PORT "$SETTINGS")
        port=${port:-8080}
    fi
    [ "${port:-0}" != 0 ] || return 0
    "$HOME_DIR/current/.venv/bin/python" "$SOURCE/deploy/healthy.py" "http://127.0.0.1:$port/healthz" "$2"
}

switch() { # NEW UNIT...: `current` is another release from now on, and runs if one ran
    local new=$1
    shift
    # Whoever asks how it went switches off `set -e` in here.
    point current "$new" && ensure_units "$HOME_DIR/releases/$new" && start_and_look "$@"
}

back_to() { # OLD NEW UNIT...
    local old=$1 new=$2
    shift 2
    say "Going back to $old"
    stop "$@"
    migrate "$new" "$(schema_of "$HOME_DIR/releases/$old")" || say "The schema stays as $new left it."
    switch "$old" "$@" || die "$old is back, and is not well either"
    say "$old is back."
}

upgrade() {
    local old units
    old=$(current)
    [ -n "$old" ] || die "nothing is installed: deploy/install.sh install"
    ensure_user
    ensure_settings
    ensure_release
    ensure_session_library
    [ "$RELEASE" != "$old" ] || { say "$RELEASE is what is installed."; return 0; }
    mapfile -t units < <(running_units)
    keep_a_dump "$old"
    # The unit that migrates may be new as well.
    ensure_units "$HOME_DIR/releases/$RELEASE"
    stop "${units[@]}"
    if ! migrate "$RELEASE"; then
        say "The schema could not be brought up to date."
        back_to "$old" "$RELEASE" "${units[@]}"
        return 1
    fi
    if ! switch "$RELEASE" "${units[@]}"; then
        say "$RELEASE did not get well."
        back_to "$old" "$RELEASE" "${units[@]}"
        return 1
    fi
    point previous "$old"
    forget_old_releases
    say "$RELEASE is installed${units[*]:+ and runs: ${units[*]}}."
}

# What the data were before; an upgrade goes on without it where there is no database to ask, and says so.
keep_a_dump() {
    has_services || return 0
    local directory=$ROOT/var/backups/$NAME
    install -d -m 0700 "$directory"
    if ROOT=$ROOT "$SOURCE/deploy/database.sh" dump "$directory/before-$RELEASE.dump" 2>"$directory/last-error"; then
        say "The database as it was is in $directory/before-$RELEASE.dump"
        find "$directory" -maxdepth 1 -name 'before-*.dump' -printf '%T@ %p\n' | sort -rn | tail -n "+$((KEPT_RELEASES + 1))" |
            cut -d' ' -f2- | xargs -r -d '\n' rm -f --
    else
        say "No dump was made before: $(tail -n 1 "$directory/last-error")"
    fi
}

rollback() {
    local old new units
    new=$(current)
    old=$(release_of "$HOME_DIR/previous")
    [ -n "$old" ] && [ "$old" != "$new" ] && [ -d "$HOME_DIR/releases/$old" ] || die "there is no release before"
    mapfile -t units < <(running_units)
    back_to "$old" "$new" "${units[@]}"
    rm "$HOME_DIR/previous"
}

first_install() {
    ensure_user
    ensure_settings
    ensure_release
    ensure_session_library
    local old
    old=$(current)
    if [ -n "$old" ] && [ "$old" != "$RELEASE" ]; then
        die "$old is installed: deploy/install.sh upgrade"
    fi
    point current "$RELEASE"
    ensure_units "$HOME_DIR/releases/$RELEASE"
    say "$RELEASE is installed. Settings: $SETTINGS; secrets, a file each: $SECRETS"
    has_services || { say "No systemd here: nothing was started."; return 0; }
    has_token || { say "Without a bot token nothing is started: write it to $SECRETS/telegram_bot_token, then say this again."; return 0; }
    [ -z "$(running_units)" ] || { say "It runs: $(running_units | tr '\n' ' ')"; return 0; }
    systemd enable "$NAME.service"
    start_and_look "$NAME.service" || die "it did not get well: journalctl -u $NAME"
    say "It runs."
}

status() {
    say "release:  $(current)"
    say "previous: $(release_of "$HOME_DIR/previous")"
    say "running:  $(running_units | tr '\n' ' ')"
}

uninstall() { # [--purge]
    if has_services; then
        local units
        mapfile -t units < <(running_units)
        stop "${units[@]}"
        systemd disable "$NAME.service" 2>/dev/null || true
        rm -f "$UNITS"/multi-user.target.wants/"$NAME"@*.service
    fi
    rm -f "$UNITS/$NAME.service" "$UNITS/$NAME@.service" "$UNITS/$NAME-migrate.service" "$ROOT/etc/logrotate.d/$NAME"
    rm -rf "$HOME_DIR"
    ! has_services || { systemd daemon-reload; systemd reset-failed "$NAME*" 2>/dev/null || true; }
    if [ "${1:-}" != --purge ]; then
        say "It is gone. Settings ($SETTINGS, $ROOT/etc/$NAME) and data ($ROOT/var/lib/$NAME) stay; --purge removes them."
        return 0
    fi
    # shellcheck disable=SC2115 # the name is a constant
    rm -rf "$SETTINGS" "$ROOT/etc/$NAME" "$ROOT/var/lib/$NAME" "$ROOT/var/backups/$NAME"
    if is_system && id "$BOT_USER" >/dev/null 2>&1; then userdel "$BOT_USER"; fi
    say "It is gone, with settings and data."
}

main() {
    local command=${1:-} purge=
    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ]; do
        case $1 in
            --root) ROOT=${2:?--root needs a directory}; ROOT=$(realpath -m "$ROOT"); shift ;;
            --purge) purge=--purge ;;
            *) die "unknown: $1" ;;
        esac
        shift
    done
    [ "$ROOT" != / ] || ROOT=
    HOME_DIR=$ROOT/opt/$NAME
    UNITS=$ROOT/etc/systemd/system
    SETTINGS=$ROOT/etc/$NAME.env
    SECRETS=$ROOT/etc/$NAME/secrets
    [ -n "$ROOT" ] || [ "$(id -u)" = 0 ] || die "only root may install"
    umask 022
    case $command in
        install) first_install ;;
        upgrade | rollback | status) "$command" ;;
        uninstall) uninstall "$purge" ;;
        *) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
    esac
}

main "$@"
