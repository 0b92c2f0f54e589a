#!/usr/bin/env bash
# Copies what the demo shows into web/: models with their list, and sample pictures. Usage: scripts/web-assets.sh
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p web/models web/pictures
cp assets/pictures/*.jpg web/pictures/

list=""
for model in assets/models/*.safetensors; do
    cp "$model" web/models/
    list+="${list:+,}$(printf '\n  {"file": "%s", "bytes": %d}' "$(basename "$model")" "$(wc -c <"$model")")"
done
printf '[%s\n]\n' "$list" >web/models/index.json
