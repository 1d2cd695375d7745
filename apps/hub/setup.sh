#!/bin/sh
# Installs what the hub's tests need besides Rust: curl, the second opinion on HTTPS, mosquitto, the MQTT broker, and openssl,
# which makes the broker's certificates. Does nothing where they are there.
set -eu
missing=""
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
PATH="$PATH:/usr/sbin" command -v mosquitto >/dev/null 2>&1 || missing="$missing mosquitto"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "as root: apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
apt-get update -qq || true
# RUNLEVEL=1: the tests start brokers of their own; the package must not start its service. The list is a list of words.
# shellcheck disable=SC2086
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends $missing >/dev/null
