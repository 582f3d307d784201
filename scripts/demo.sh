#!/usr/bin/env bash
# Fetches the drawings, builds the corpora, trains CONFIG on them and asks the trained model something.
# Killed or stopped, the same command goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
config=configs/$name.toml
run=runs/$name
albef=target/release/albef
worker=target/release/albef-worker

cargo build --release --locked -p albef -p albef-worker
mkdir -p data runs
$albef corpus fetch emoji data/emoji
$albef corpus build configs/demo-train-corpus.toml --out data/demo/train
$albef corpus build configs/demo-test-corpus.toml --out data/demo/test
[ -f data/demo/vocab.txt ] || $albef corpus vocabulary data/demo/train --size 4096 --out data/demo/vocab.txt
$worker train "$config" --out "$run"

for text in "red apple" "smiling cat" "flag"; do
  $worker search "$run" "$text" --corpus data/demo/test --rerank 24 --out "$run/search-${text// /-}.png" >/dev/null
done
echo "contact sheets: $run/search-*.png; metrics: $run/metrics.jsonl; corpus report: data/demo/train/report.html"
echo "ask it yourself: $worker search $run \"blue car\" --corpus data/demo/test --out sheet.png"
