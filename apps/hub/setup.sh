#!/bin/sh
# Installs what the hub's tests need besides Rust: curl, the second opinion on HTTPS. Does nothing where it is there.
set -eu
missing=""
command -v curl >/dev/null 2>&1 || missing="$missing curl"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "as root: apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
apt-get update -qq
# The list is a list of words.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
