#!/bin/sh
# Installs what the workbench's tests need, where it is missing: gdb, Chromium, the WebAssembly target, playwright-core.
set -eu
cd "$(dirname "$0")"
missing=
command -v gdb-multiarch >/dev/null || missing="$missing gdb-multiarch"
command -v chromium >/dev/null || missing="$missing chromium fonts-dejavu-core"
command -v node >/dev/null || missing="$missing nodejs npm"
if [ -n "$missing" ]; then
    echo "soc: installing$missing"
    apt-get update -qq || true
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends $missing >/dev/null
fi
if command -v rustup >/dev/null; then
    rustup target list --installed | grep -qx wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown
fi
if [ ! -d web/tests/browser/node_modules/playwright-core ]; then
    (cd web/tests/browser && npm ci --no-audit --no-fund --silent)
fi
