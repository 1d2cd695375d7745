#!/bin/sh
# Builds the firmware, reports its size, and compares its bytes in simavr with what is expected. Needs a nightly toolchain with
# rust-src, and Debian's gcc-avr, avr-libc, simavr, libsimavr-dev and a C compiler.
set -eu
cd "$(dirname "$0")"
for tool in avr-gcc avr-size simavr cc; do
    command -v "$tool" >/dev/null || { echo "as root: apt-get install -y gcc-avr avr-libc simavr libsimavr-dev gcc" >&2; exit 1; }
done
cargo build --release
firmware="${CARGO_TARGET_DIR:-target}/avr-none/release/atmega32u4-node.elf"
avr-size "$firmware"
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
cc -O1 -Wall -Wextra -o "$scratch/board" test/board.c -lsimavr
# The library tells what it has loaded.
"$scratch/board" "$firmware" <test/case.txt | sed '/^Loaded /d' >"$scratch/said.txt"
diff -u test/expected.txt "$scratch/said.txt"
echo "the board says what it should"
