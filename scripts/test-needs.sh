#!/usr/bin/env bash
# Installs what the tests need on Debian or Ubuntu, and says what they need besides. Usage: scripts/test-needs.sh
#   CHROMIUM   the browser [default: /usr/bin/chromium, which is installed]
#   PYTHON     [default: python3]
set -euo pipefail

fail() { echo "error: $*" >&2; exit 1; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Not installed, since what a distribution has is often older. 20.10 brought --test-concurrency.
node=$(node --version 2>/dev/null || echo none)
npm=$(npm --version 2>/dev/null || echo none)
if ! printf 'v20.10\n%s\n' "$node" | sort -VC || [ "$npm" = none ]; then
    fail "the browser tests need Node v20.10 or later and npm; found Node $node and npm $npm. https://nodejs.org has both"
fi

missing=()
[ -n "${CHROMIUM:-}" ] || [ -x /usr/bin/chromium ] || missing+=(chromium)
"${PYTHON:-python3}" -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if command -v apt-get >/dev/null; then
    # The GPU tests run on whatever Vulkan driver there is; Mesa's software driver makes sure that there is one.
    dpkg -s mesa-vulkan-drivers libvulkan1 >/dev/null 2>&1 || missing+=(mesa-vulkan-drivers libvulkan1)
    if [ ${#missing[@]} -gt 0 ]; then
        printf '\n== Installing %s\n' "${missing[*]}"
        as_root apt-get update -qq
        as_root apt-get install -y -qq "${missing[@]}" >/dev/null
    fi
elif [ ${#missing[@]} -gt 0 ]; then
    fail "the browser tests need ${missing[*]}, and there is no apt-get to install it; CHROMIUM and PYTHON may name other programs"
fi
