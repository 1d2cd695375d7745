#!/bin/sh
# Compiles the four programs of the ESP32-C3 with the lock file's versions and says how much flash and memory each takes.
# Installs the compiler's target where rustup is. Ends with a status other than 0 if one does not compile.
set -eu
cd "$(dirname "$0")"
target=riscv32imc-unknown-none-elf
if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx "$target"; then
    echo "installing the compiler's target $target (rustup)" >&2
    rustup target add "$target"
fi
# Beside the workspace's folder: its profiles and flags are others.
folder="${CARGO_TARGET_DIR:-$(git rev-parse --show-toplevel)/target}/boards"
# A hub to dial and a token, so that the code for them is in the sizes.
export DWN_HUB=192.0.2.1:8242 DWN_TOKEN=0123456789abcdef
cargo build --quiet --release --locked --target-dir "$folder" --bins
for program in irrigation led io jsonrpc; do
    # Flash holds code, constants, and what is copied into memory at the start.
    size -A -d "$folder/$target/release/$program" | awk -v program="$program" '
        /^\.(trap|rwtext|data|flash|rodata|text)/ && !/dummy/ { flash += $2 }
        /^\.(trap|rwtext|data|bss)/ && !/dummy/ { memory += $2 }
        END { printf "✔ esp32c3 %s: %d kB of flash, %d kB of memory\n", program, flash / 1000, memory / 1000 }'
done
