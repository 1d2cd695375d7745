#!/bin/sh
# The hub's quick tests: its crates, and the hub and its simulated devices on real sockets. Ends with a status other
# than 0 if anything fails. With --full also the long ones: thousands of power cuts, a thousand kills, the soak, the boards.
set -eu
cd "$(dirname "$0")/../.."
apps/hub/setup.sh
status=0
if [ "${1:-}" = --full ]; then
    export HUB_FULL_TESTS=1
    nodes/boards/esp32c3/test.sh || status=$?
fi
# Dependencies without optimisation: they are compiled far more often than they are run.
quick='profile.dev.package."*".opt-level=0'
cargo nextest run --no-fail-fast --config "$quick" \
    -p hub -p house -p irrigation -p rules -p hub-modules -p hub-server -p hub-store -p hob-node || status=$?
exit "$status"
