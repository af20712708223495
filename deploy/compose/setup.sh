#!/bin/sh
# Make the stack's secrets, once: the password of the report pages, Grafana's administrator's, and the secret path on
# which the exporter takes alerts. Needs docker compose (the pages' password is hashed by the exporter's own image).
set -eu
cd "$(dirname "$0")"

umask 077
mkdir -p secrets # 0700: what is in it may be readable by the containers' users, whose ids differ
random() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

for name in pages-password grafana-password; do
  [ -s "secrets/$name" ] || random >"secrets/$name"
done
[ -s secrets/alerts-path ] || printf '/%s' "$(random)" >secrets/alerts-path
printf 'ALERTS_PATH=%s\n' "$(cat secrets/alerts-path)" >.env # Compose reads it, from the next line on
[ -e secrets/web.yml ] || : >secrets/web.yml

docker compose build exporter
hash=$(docker compose run --rm --no-deps -T --entrypoint python exporter -c '
import bcrypt, sys
print(bcrypt.hashpw(sys.stdin.read().strip().encode(), bcrypt.gensalt(10)).decode())' <secrets/pages-password)
printf 'basic_auth_users:\n  falco: "%s"\n' "$hash" >secrets/web.yml
chmod 644 secrets/*

echo "Report pages: http://localhost:9376/reports, user falco, password in secrets/pages-password"
echo "Grafana:      http://localhost:3000, user admin, password in secrets/grafana-password"
echo "Start:        docker compose up"
