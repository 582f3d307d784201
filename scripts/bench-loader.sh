#!/usr/bin/env bash
# Compares the loader with a PyTorch DataLoader on a folder of photos: one core each, in turns, ratios of the medians.
#   scripts/bench-loader.sh PHOTOS    or: make bench-loader PHOTOS=DIR
# Environment: PYTHON, one that has torch, torchvision, pillow and opencv (otherwise they are installed into .bench-venv);
# ROUNDS (5), STEPS of 64 images a turn (14), MAX_SIDE to which the resized corpus is shrunk (512), CORE (0), OUT, a
# folder for copies and corpora (data/bench-loader).
set -euo pipefail
[ $# = 1 ] && [ -d "$1" ] || { echo "bench-loader: name a folder of photos: make bench-loader PHOTOS=DIR" >&2; exit 2; }
photos=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROUNDS=${ROUNDS:-5} STEPS=${STEPS:-14} MAX_SIDE=${MAX_SIDE:-512} CORE=${CORE:-0} OUT=${OUT:-data/bench-loader}
target=${CARGO_TARGET_DIR:-target}/release

if [ -z "${PYTHON:-}" ]; then
  PYTHON=.bench-venv/bin/python
  [ -x $PYTHON ] || python3 -m venv .bench-venv
  $PYTHON -m pip install --quiet --disable-pip-version-check \
    torch==2.11.0 torchvision==0.26.0 pillow opencv-python-headless
fi
"$PYTHON" -c 'import cv2, PIL, torch, torchvision' || { echo "bench-loader: $PYTHON lacks a module" >&2; exit 2; }
cargo build --release --locked -p albef -p albef-worker

# Names and captions that every rule lets pass, so that both sides read the same pictures.
rm -rf "$OUT" && mkdir -p "$OUT/photos"
count=0
while IFS= read -r -d '' file; do
  name=$OUT/photos/$(printf %06d $count)
  cp "$file" "$name.jpg"
  echo "a photograph of something, and its number is $count" >"$name.txt"
  count=$((count + 1))
done < <(find "$photos" -type f \( -iname '*.jpg' -o -iname '*.jpeg' \) -print0 | sort -z)
corpus() { # NAME LINES-OF-[image]
  cat >"$OUT/$1.toml" <<TOML
[[source]]
path = "$OUT/photos"
kind = "folder"
[image]
max_aspect = 1000.0
max_blank = 1.0
$2
[duplicates]
exact = false
near = false
TOML
  "$target/albef" corpus build "$OUT/$1.toml" --out "$OUT/$1" | grep kept
}
corpus original 'encoding = "keep"'
corpus resized "max_side = $MAX_SIDE"
"$target/albef" corpus vocabulary "$OUT/original" --size 4096 --out "$OUT/vocab.txt" >/dev/null
# What was stored of the resized pictures, for a DataLoader that reads them too.
mkdir "$OUT/small"
for shard in "$OUT"/resized/*.tar; do tar xf "$shard" -C "$OUT/small" --wildcards '*.jpg'; done

ours() { # NAME
  taskset -c "$CORE" "$target/albef-worker" load albef-base --threads 1 --steps "$STEPS" \
    --set logical_ranks=1 --set local_batch=64 --set model.text.cls_id=2 --set model.text.mask_id=4 \
    --set data.vocabulary="$OUT/vocab.txt" --set "data.corpus=[{ path = \"$OUT/$1\" }]" --set data.readers=1 \
    "${@:2}" >>"$OUT/$1${2:+-exact}.jsonl"
}
theirs() { taskset -c "$CORE" "$PYTHON" scripts/loader_reference.py "$OUT/$1" --steps "$STEPS" >>"$OUT/$1.jsonl"; }
for round in $(seq "$ROUNDS"); do
  echo "round $round of $ROUNDS" >&2
  theirs photos
  ours original
  theirs small
  ours resized
  ours original --set data.exact=true
done
"$PYTHON" - "$OUT" <<'PY'
import json, statistics, sys

def median(name, key):
    return statistics.median(json.loads(line)[key] for line in open(f"{sys.argv[1]}/{name}.jsonl"))

print(f"{'images per second':44}  of the clock  of computing")
for name, label in [
    ("photos", "PyTorch, original files"),
    ("small", "PyTorch, resized files"),
    ("original", "ours, original files"),
    ("original-exact", "ours, original files, data.exact"),
    ("resized", "ours, resized when the corpus was built"),
]:
    print(f"{label:44}  {median(name, 'images_per_s'):12.1f}  {median(name, 'images_per_cpu_s'):12.1f}")
for ours, theirs, label in [
    ("original", "photos", "original files against original files"),
    ("original-exact", "photos", "the same, data.exact"),
    ("resized", "photos", "resized against original files"),
    ("resized", "small", "resized against resized files"),
]:
    ratios = [median(ours, key) / median(theirs, key) for key in ("images_per_s", "images_per_cpu_s")]
    print(f"{label:44}  {ratios[0]:11.2f}x  {ratios[1]:11.2f}x")
PY
