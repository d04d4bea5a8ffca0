#!/bin/sh
# What `npm run regress` needs: PostgreSQL's own regression suite and libpq_pipeline, of the version that is installed, from the
# distribution's source package. Nothing is installed: a list of packages of our own, and a build of a minute, both in a cache folder of
# this user. Prints that folder. Does nothing else, in a few milliseconds, where it is there already.
set -eu

refuse() { # code, what happened, what to do
  printf 'matriarch: %s: %s\n  next: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

bin=${MATRIARCH_TEST_POSTGRES_BIN:-/usr/lib/postgresql/15/bin}
[ -x "$bin/postgres" ] || refuse regress.incomplete "there is no $bin/postgres." 'run `npm test` once, or name its folder in MATRIARCH_TEST_POSTGRES_BIN.'
# "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
said=$("$bin/postgres" --version)
version=$(printf '%s\n' "$said" | sed -n 's/.*(PostgreSQL) \([0-9.]*\).*/\1/p')
package=$(printf '%s\n' "$said" | sed -n 's/.*([^ ()]* \([^ ()]*\))$/\1/p')
major=${version%%.*}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/matriarch/regress-$version
# A stamp, written last: a build that was broken off is begun again.
if [ -e "$cache/built" ]; then
  echo "$cache"
  exit 0
fi
for program in apt-get dpkg-source gcc make perl; do
  command -v "$program" >/dev/null ||
    refuse regress.incomplete "this machine lacks $program." "run \`apt-get install build-essential dpkg-dev perl\` as root on Debian or Ubuntu."
done

echo "Fetching and building the regression suite of PostgreSQL $version in $cache …" >&2
rm -rf "$cache"
lists=$cache/apt
mkdir -p "$lists/parts" "$lists/lists/partial" "$lists/cache"
# The machine's own sources as `deb-src`, in lists of our own: nothing of the machine's is changed, and no root is needed.
for file in /etc/apt/sources.list.d/*.sources; do
  [ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$lists/parts/${file##*/}"
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >"$lists/parts/$(basename "$file" .list).list"
done
apt() {
  apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$lists/parts" -o Dir::State::Lists="$lists/lists" \
    -o Dir::Cache="$lists/cache" -o APT::Sandbox::User= "$@" >&2
}
cd "$cache"
apt update || refuse regress.incomplete 'apt-get could not read the lists of the source packages.' 'look at its messages above.'
# The newest one where that of the installed package is gone: its tests are the same, and only two runs of them are compared.
apt source --download-only "postgresql-$major${package:+=$package}" || apt source --download-only "postgresql-$major" ||
  refuse regress.incomplete "there is no source package of PostgreSQL $version." 'look at the messages of apt-get above.'
rm -rf "$lists"

log=$cache/build.log
# Only what the tests are run with; the server under test is the installed one.
build() {
  dpkg-source --no-check -x ./*.dsc source &&
    cd source &&
    ./configure --without-readline --without-zlib &&
    make -s -C src/backend generated-headers &&
    make -s -C src/port &&
    make -s -C src/common &&
    make -s -C src/test/regress pg_regress regress.so &&
    make -s -C contrib/spi autoinc.so refint.so &&
    make -s -C src/interfaces/libpq &&
    make -s -C src/test/modules/libpq_pipeline libpq_pipeline
}
(build) >"$log" 2>&1 || refuse regress.incomplete "the build of the regression suite failed." "look at the end of $log"

mkdir "$cache/lib"
cp source/src/test/regress/regress.so source/contrib/spi/autoinc.so source/contrib/spi/refint.so "$cache/lib/"
cp source/src/test/regress/pg_regress source/src/test/modules/libpq_pipeline/libpq_pipeline "$cache/"
cp -R source/src/test/regress "$cache/suite"
rm -rf source ./*.tar.* ./*.dsc
touch "$cache/built"
echo "$cache"
