#!/bin/sh
# The files of a cluster on three machines, with an etcd member on each of them. Addresses: 10.0.0.1 to 10.0.0.3.
set -eu
exec matriarch machines init --dir "${1:-./main}" --name main \
  --member n1=10.0.0.1 --member n2=10.0.0.2 --member n3=10.0.0.3 \
  --etcd https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379 \
  --etcd-ca "${ETCD_CA:-/etc/etcd/ca.crt}" \
  --postgres-bin "${POSTGRES_BIN:-/usr/lib/postgresql/15/bin}"
