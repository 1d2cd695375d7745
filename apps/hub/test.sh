#!/bin/sh
# The hub's quick tests: its crates, and the hub and its simulated devices on real sockets. Ends with a status other
# than 0 if anything fails.
set -eu
cd "$(dirname "$0")/../.."
apps/hub/setup.sh
# Dependencies without optimisation: they are compiled far more often than they are run.
quick='profile.dev.package."*".opt-level=0'
exec cargo nextest run --no-fail-fast --config "$quick" \
    -p hub -p house -p irrigation -p rules -p hub-modules -p hub-server -p hub-store -p hob-node
