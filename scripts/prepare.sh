#!/bin/sh
# What `npm start` and `npm test` need and a fresh machine lacks: the packages of package-lock.json, with the Node.js that they pin,
# and a PostgreSQL server. Does nothing, in a few milliseconds, where all of it is there.
set -eu
cd "$(dirname -- "$0")/.."

refuse() { # code, what happened, what to do
  printf 'matriarch: %s: %s\n  next: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

# A stamp, not a look at the folders: an installation that was broken off is repeated.
stamp=node_modules/.matriarch-installed
if ! cmp -s package-lock.json "$stamp"; then
  echo 'Installing the packages of package-lock.json …' >&2
  # `npm ci` removes node_modules first, from under a cluster that may be running out of it; `npm install` changes what differs.
  if [ -d node_modules ]; then
    npm install --no-save --no-audit --no-fund --loglevel=error
  else
    npm ci --no-audit --no-fund --loglevel=error
  fi
  cp package-lock.json "$stamp"
fi
node_modules/node/bin/node --version >/dev/null 2>&1 ||
  refuse node.missing 'node_modules holds no Node.js 24: the install script of the package `node` was not run.' \
    'allow install scripts (`npm config set ignore-scripts false`), remove node_modules and try again.'
# So that `npx matriarch` finds this checkout, and at once.
[ -e node_modules/.bin/matriarch ] || ln -s ../../bin/matriarch node_modules/.bin/matriarch

postgres_found() {
  command -v postgres >/dev/null && command -v initdb >/dev/null && return
  for bin in "${MATRIARCH_POSTGRES_BIN:-}" /usr/lib/postgresql/1[4-8]/bin /usr/pgsql-1[4-8]/bin; do
    [ -x "$bin/postgres" ] && return
  done
  return 1
}
postgres_found && exit 0

install_it='install PostgreSQL 14 to 18 yourself, or name its folder in MATRIARCH_POSTGRES_BIN.'
command -v apt-get >/dev/null ||
  refuse postgres.notFound 'no PostgreSQL server was found, and this machine has no apt-get to install one with.' "$install_it"
if [ "$(id -u)" = 0 ]; then
  as_root=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root=sudo
else
  refuse postgres.notFound 'no PostgreSQL server was found, and installing it takes root (or sudo).' \
    "run \`apt-get install postgresql\` as root, or $install_it"
fi

echo 'Installing PostgreSQL with apt-get …' >&2
# Debian would create and start a server of its own, on the port that people expect theirs on; nobody asked for that one.
conf=/etc/postgresql-common/createcluster.d
$as_root mkdir -p "$conf"
echo 'create_main_cluster = false' | $as_root tee "$conf/matriarch.conf" >/dev/null
trap '$as_root rm -f "$conf/matriarch.conf"' EXIT
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >&2
}
apt install -y --no-install-recommends postgresql || { apt update && apt install -y --no-install-recommends postgresql; } ||
  refuse postgres.notFound 'apt-get could not install PostgreSQL (its messages stand above).' "$install_it"
postgres_found || refuse postgres.notFound 'apt-get installed no PostgreSQL between 14 and 18.' "$install_it"
