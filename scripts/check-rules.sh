#!/usr/bin/env bash
# Rules that no linter knows. Prints every offence and fails if there is one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0

# Only the worker's side may link libtorch.
for crate in albef albef-corpus albef-line; do
  if cargo tree --locked -p "$crate" -e normal --prefix none | grep -E '^(tch|torch-sys|torch-ext) '; then
    echo "rules: $crate must not depend on libtorch"; failed=1
  fi
done
# Unsafe code lives in one crate. Cargo denies it elsewhere; this catches an 'allow'.
if grep -rnE 'allow\(unsafe_code\)' --include='*.rs' cli corpus line worker | grep -v '^worker/torch-ext/'; then
  echo "rules: unsafe code belongs into worker/torch-ext"; failed=1
fi
# Pickle runs code when it is read.
if grep -rnE 'Tensor::(load|loadz)' --include='*.rs' cli corpus line worker; then
  echo "rules: weights are read from safetensors only"; failed=1
fi
# A file that does not fit into the head.
while read -r lines file; do
  if [ "$file" != total ] && [ "$lines" -gt 600 ]; then echo "rules: $file has $lines lines; split it"; failed=1; fi
done < <(find cli corpus line worker -name '*.rs' -print0 | xargs -0 wc -l)
exit $failed
