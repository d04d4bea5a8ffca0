#!/bin/sh
# Makes dist/image, the context of the image: `docker build dist/image`, `podman build dist/image`, or `build.sh COMMAND…`, which runs
# COMMAND with the folder behind it. The source maps go to dist/maps: they belong to a release, not into the image.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
node=$root/node_modules/node/bin/node
context=$root/dist/image maps=$root/dist/maps
"$node" "$root/scripts/bundle.ts" "$context"
rm -rf "$maps"
mkdir -p "$maps"
mv "$context"/lib/*.map "$maps"
cp "$root/deploy/image/Dockerfile" "$context/Dockerfile"
[ $# -eq 0 ] || exec "$@" "$context"
