#!/usr/bin/env bash
# Installs what the tests need beside Go and Node: strace (failing fsyncs),
# python3 (whose http.cookiejar writes the jars that are read), wine and a C
# compiler for Windows (to run readmit.exe), chromium (in which the pages are
# tested), PostgreSQL
# (whose programs run clusters of the tests' own), a Secret Service on a session bus (gnome-keyring, dbus) and systemd
# (to check the agent's unit) from the distribution, and the OPAQUE peer from npm.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for program in strace python3 chromium; do
	command -v "$program" >/dev/null || missing+=("$program")
done
command -v gnome-keyring-daemon >/dev/null || missing+=(gnome-keyring)
command -v dbus-daemon >/dev/null || missing+=(dbus)
command -v systemd-analyze >/dev/null || missing+=(systemd)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
command -v wine >/dev/null || missing+=(wine wine64)
command -v x86_64-w64-mingw32-gcc >/dev/null || missing+=(gcc-mingw-w64-x86-64-win32)
if [ "${#missing[@]}" -gt 0 ]; then
	as_root=""
	[ "$(id -u)" = 0 ] || as_root="sudo"
	$as_root apt-get update -qq
	$as_root apt-get install -y -qq "${missing[@]}" >/dev/null
fi

peer=testdata/opaque-peer
if [ ! -d "$peer/node_modules" ] || [ "$peer/package-lock.json" -nt "$peer/node_modules" ]; then
	(cd "$peer" && npm ci --no-audit --no-fund --silent && touch node_modules)
fi
