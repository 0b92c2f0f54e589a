#!/usr/bin/env bash
# Copies what the demo shows into web/: models with their list, sample pictures, and what profiles are drawn with. Usage: scripts/web-assets.sh
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p web/models web/pictures web/profile
cp assets/pictures/*.jpg web/pictures/
cp src/profile/report/*.js src/profile/report/launches.css web/profile/

list=""
for model in assets/models/*.safetensors; do
    cp "$model" web/models/
    list+="${list:+,}$(printf '\n  {"file": "%s", "bytes": %d}' "$(basename "$model")" "$(wc -c <"$model")")"
done
printf '[%s\n]\n' "$list" >web/models/index.json
