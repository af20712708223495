#!/usr/bin/env bash
# `make install`: the program in a virtual environment of its own, a command that starts it, and a systemd unit.
# Variables: PYTHON, PREFIX, DESTDIR (for packages: everything goes below it, nothing in it names it).
set -euo pipefail
cd "$(dirname "$0")/.."
library=$PREFIX/lib/falco-report-exporter
staged=$DESTDIR$library

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
rm -rf "$staged"
mkdir -p "$staged"
"$PYTHON" -m venv --without-pip "$staged"
site=$("$staged/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Into the new environment, by the pip of another: the installed tree holds no installer.
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$PYTHON" -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --target "$site" --require-hashes --no-deps -r requirements.lock
rm -rf "$site/bin"
"$tools/bin/python" -m pip install --quiet --target "$site" --no-deps .
rm -rf "$site/bin"
sed -i '/^command = /d' "$staged/pyvenv.cfg"
find "$staged/bin" -mindepth 1 ! -name 'python*' -delete

install -d "$DESTDIR$PREFIX/bin"
cat > "$DESTDIR$PREFIX/bin/falco-report-exporter" <<END
#!/bin/sh
exec "$library/bin/python3" -I -m exporter "\$@"
END
chmod 755 "$DESTDIR$PREFIX/bin/falco-report-exporter"

complete() { # shell, file: what completes the program's arguments
  install -d "$(dirname "$DESTDIR$PREFIX/share/$2")"
  "$staged/bin/python3" -I -B -m exporter completion "$1" > "$DESTDIR$PREFIX/share/$2"
}
complete bash bash-completion/completions/falco-report-exporter
complete zsh zsh/site-functions/_falco-report-exporter
complete fish fish/vendor_completions.d/falco-report-exporter.fish

units=$DESTDIR$PREFIX/lib/systemd/system
install -d "$units"
sed "s#@bindir@#$PREFIX/bin#" deploy/systemd/falco-report-exporter.service > "$units/falco-report-exporter.service"
install -D -m 644 deploy/systemd/falco-report-exporter.sysusers "$DESTDIR$PREFIX/lib/sysusers.d/falco-report-exporter.conf"
install -D -m 644 deploy/systemd/falco-report-exporter.tmpfiles "$DESTDIR$PREFIX/lib/tmpfiles.d/falco-report-exporter.conf"
documents=$DESTDIR$PREFIX/share/doc/falco-report-exporter
install -d "$documents"
install -m 644 README.md CHANGELOG.md LICENSE deploy/systemd/falco-socket.conf deploy/systemd/falco-socket-group.conf \
  deploy/systemd/config.yaml "$documents"
cat <<END
Installed below $DESTDIR$PREFIX. Next, as root:
  install -D -m 600 $PREFIX/share/doc/falco-report-exporter/config.yaml /etc/falco-report-exporter/config.yaml   # then edit it
  systemctl daemon-reload && systemctl enable --now falco-report-exporter
  falco-report-exporter check --config /etc/falco-report-exporter/config.yaml
END
