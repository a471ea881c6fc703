#!/usr/bin/env bash
# A real TimescaleDB in a folder, for tests, on Debian, as root, without Docker:
# Debian trixie with PostgreSQL 17 and TimescaleDB by debootstrap, its server in the chroot.
#
#   debootstrap.sh start [FOLDER] [PORT]   build FOLDER if needed, start the server, print its URL
#   debootstrap.sh stop [FOLDER]           stop the server, unmount what was mounted
#   debootstrap.sh url [FOLDER]            print the URL of the running server
#
# FOLDER defaults to /var/tmp/tape-timescale (about 0.8 GB); PORT to a free one on loopback.
# The mirror is the machine's own, as its apt is configured; TAPE_DEBIAN_MIRROR overrides it.
# Only the URL goes to stdout. The build is of the Apache licence: hypertables and time_bucket
# work, compression and policies do not.
set -euo pipefail

action="${1:-}"
folder="${2:-/var/tmp/tape-timescale}"
port="${3:-0}"
data=/var/lib/postgresql/tape
log="$folder/var/log/postgresql/tape.log"

say() { printf '%s\n' "$*" >&2; }
die() { say "debootstrap.sh: $*"; exit 1; }

mirror() {
    if [ -n "${TAPE_DEBIAN_MIRROR:-}" ]; then
        printf '%s\n' "$TAPE_DEBIAN_MIRROR"
        return
    fi
    # deb822 `URIs:` lines and one-line `deb [options] URI suite …` alike; the archive proper
    # is the one whose path ends in /debian.
    { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
          /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } |
        sed -nE -e 's/^URIs:[[:space:]]*//p' \
            -e 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p' |
        tr ' ' '\n' | grep -E '/debian/?$' | head -n 1
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

inside() { chroot "$folder" /usr/bin/env -i PATH=/usr/lib/postgresql/17/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
as_postgres() { inside setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

build() {
    [ -e "$folder/.tape-complete" ] && return
    local from
    from="$(mirror)"
    [ -n "$from" ] || die "no Debian mirror in /etc/apt; set TAPE_DEBIAN_MIRROR"
    if ! command -v debootstrap >/dev/null; then
        say "installing debootstrap"
        { apt-get update -q && apt-get install -y -q --no-install-recommends debootstrap; } >&2
    fi
    say "building $folder (Debian trixie, PostgreSQL 17, TimescaleDB)"
    unmount
    rm -rf --one-file-system "$folder"
    mkdir -p "$folder"
    # Packages of PostgreSQL start a cluster when installed; this one's is made below instead.
    debootstrap --variant=minbase \
        --include=postgresql-17,postgresql-17-timescaledb trixie "$folder" "$from" >&2
    touch "$folder/.tape-complete"
}

mounted() { mountpoint -q "$folder/proc"; }
unmount() { if mounted; then umount "$folder/proc"; fi; }
running() { [ -d "$folder$data" ] && mounted && as_postgres pg_ctl -D "$data" status >/dev/null 2>&1; }
url() { printf 'postgresql://postgres@127.0.0.1:%s/postgres\n' "$(sed -n 4p "$folder$data/postmaster.pid")"; }

start() {
    [ "$(id -u)" = 0 ] || die "needs root (debootstrap and chroot do)"
    if running; then url; return; fi
    build
    mkdir -p "$folder/proc" "$folder/dev/shm"
    mounted || mount -t proc proc "$folder/proc"
    chmod 1777 "$folder/dev/shm" "$folder/tmp"
    if [ ! -e "$folder$data/PG_VERSION" ]; then
        # Loopback only, for tests: whoever is on this machine may come in.
        as_postgres initdb -D "$data" --auth=trust --encoding=UTF8 --locale=C.UTF-8 >&2
        cat >>"$folder$data/postgresql.conf" <<-CONF
			listen_addresses = '127.0.0.1'
			unix_socket_directories = '/tmp'
			shared_preload_libraries = 'timescaledb'
			timescaledb.telemetry_level = off
			dynamic_shared_memory_type = mmap
			shared_buffers = 256MB
			max_wal_size = 2GB
			max_locks_per_transaction = 512
		CONF
    fi
    [ "$port" != 0 ] || port="$(free_port)"
    # The server must not hold this script's pipes, or $(debootstrap.sh start) would not end.
    as_postgres pg_ctl -D "$data" -w -t 60 -o "-p $port" \
        -l "${log#"$folder"}" start </dev/null >&2 2>&1 || { tail -n 20 "$log" >&2; die "the server did not start"; }
    url
}

stop() {
    if running; then as_postgres pg_ctl -D "$data" -m fast -w stop >&2; fi
    unmount
}

case "$action" in
    start) start ;;
    stop) stop ;;
    url) running || die "no server runs in $folder"; url ;;
    *) die "say start, stop or url" ;;
esac
