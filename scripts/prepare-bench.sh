#!/bin/sh
# What `npm run bench -- proxy` measures Matriarch's proxy beside: pgbouncer and pgpool-II. Does nothing, in a few milliseconds, where
# they are there.
set -eu

refuse() { # code, what happened, what to do
  printf 'matriarch: %s: %s\n  next: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

PATH="$PATH:/usr/sbin:/sbin"
missing() {
  for program in pgbouncer pgpool; do
    command -v "$program" >/dev/null || printf '%s ' "$program"
  done
}
[ -z "$(missing)" ] && exit 0

packages='pgbouncer pgpool2'
command -v apt-get >/dev/null ||
  refuse peers.incomplete "this machine lacks $(missing)and has no apt-get to install it with." 'install them yourself.'
if [ "$(id -u)" = 0 ]; then
  as_root=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root=sudo
else
  refuse peers.incomplete "this machine lacks $(missing)and installing it takes root (or sudo)." "run \`apt-get install $packages\` as root."
fi

echo "Installing $packages with apt-get …" >&2
# Debian would start both as services of this machine; nobody asked for those. Somebody's own policy is left alone, and
# then decides.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
  trap '$as_root rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM HUP
fi
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >&2
}
# shellcheck disable=SC2086 # several packages
apt install -y --no-install-recommends $packages || { apt update && apt install -y --no-install-recommends $packages; } ||
  refuse peers.incomplete 'apt-get could not install what is missing (its messages stand above).' "install $packages yourself."
[ -z "$(missing)" ] || refuse peers.incomplete "apt-get installed the packages, and still there is no $(missing)" "install $packages yourself."
