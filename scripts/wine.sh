#!/usr/bin/env bash
# Makes a wine prefix in which programs built by Go for Windows run, in
# WINEPREFIX, and the program that stands in for those of iCloud, as
# $WINEPREFIX/drive_c/sleeper.exe. The caller ends it: wineserver -k.
set -euo pipefail
cd "$(dirname "$0")/../testdata/wine"
: "${WINEPREFIX:?a folder of your own}" "${HOME:?}"
export WINEDEBUG=-all DISPLAY= WINEDLLOVERRIDES="mscoree,mshtml="

timeout 40 wineboot --init >/dev/null 2>&1
timeout 20 winecfg -v win10 >/dev/null 2>&1
# The server that made the prefix starts none of its services (the scheduler's,
# the one of COM); the next one does, and stays until the caller ends it.
wineserver -k
timeout 20 wineserver -w
wineserver -p >/dev/null 2>&1
cc=x86_64-w64-mingw32-gcc
$cc -O2 -s -Wall -Werror -shared -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" bcryptprimitives.c
$cc -O2 -s -Wall -Werror -mwindows -o "$WINEPREFIX/drive_c/sleeper.exe" sleeper.c
