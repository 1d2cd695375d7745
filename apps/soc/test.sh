#!/bin/sh
# The workbench's quick tests: the crates and the command, the page built, the page in headless Chromium.
# Ends with a status other than 0 if anything fails. PROPTEST_CASES=100000 makes the properties try longer.
set -eu
cd "$(dirname "$0")/../.."
apps/soc/setup.sh
# Dependencies without optimisation: they are compiled far more often than they are run.
quick='profile.dev.package."*".opt-level=0'
status=0
cargo nextest run --no-fail-fast --config "$quick" --features soc-debugger/gdb \
    -p soc -p soc-machine -p soc-assembler -p soc-debugger -p soc-web || status=$?
cargo build --quiet --config "$quick" -p soc || status=$?
cargo run --quiet --config "$quick" -p soc-page || status=$?
(cd apps/soc/web/tests/browser && node --test) || status=$?
exit "$status"
