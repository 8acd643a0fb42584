#!/usr/bin/env bash
# Builds what runs on a GPU machine that has a driver and nothing else: no SDK, no .NET.
#
#   eng/gpu.sh            publish/gpu/nibble: the program as one file (trimmed, ReadyToRun, linux-x64)
#   eng/gpu.sh --tests    also publish/gpu/tests.tar.xz: every op case against the reference, and whole models and
#                         training runs against the goldens, on every backend there
#   eng/gpu.sh --quality  also publish/gpu/quality: bench/Nibble.Quality as one file
#
# Prints the commands to run on that machine. NVRTC and cuBLASLt are searched for as `nibble doctor` says;
# NIBBLE_CUDA_PATH names their folder when they are somewhere else.
set -euo pipefail
cd "$(dirname "$0")/.."
out=publish/gpu
rm -rf "$out"
dotnet publish src/Nibble.Cli/Nibble.Cli.csproj -c Release -r linux-x64 --self-contained -o "$out" -v quiet --nologo \
    -p:PublishSingleFile=true -p:PublishTrimmed=true -p:PublishReadyToRun=true -p:DebugType=none
rm -f "$out"/*.xml
if [ "${1:-}" = --tests ]; then
    # One folder: both bring the same runtime.
    for project in Nibble.Ops.Tests Nibble.Tests; do
        dotnet publish "tests/$project/$project.csproj" -c Release -r linux-x64 --self-contained \
            -o "$out/tests" -v quiet --nologo -p:DebugType=none
    done
    tar -C "$out" -cf - tests | xz -T0 -6 > "$out/tests.tar.xz"
    rm -rf "$out/tests"
fi
if [ "${1:-}" = --quality ]; then
    # Not trimmed: its charts and its JSON go through reflection.
    dotnet publish bench/Nibble.Quality/Nibble.Quality.csproj -c Release -r linux-x64 --self-contained \
        -o "$out/parts" -v quiet --nologo -p:PublishSingleFile=true -p:DebugType=none
    mv "$out/parts/Nibble.Quality" "$out/quality"
    rm -rf "$out/parts"
fi
ls -l "$out"
echo "on the GPU machine, from the repository root:"
echo "  $out/nibble doctor"
echo "  $out/nibble selftest --device cuda"
if [ "${1:-}" = --quality ]; then
    echo "  $out/quality study --device cuda --out out/study --write docs"
fi
if [ "${1:-}" = --tests ]; then
    echo "  tar -xJf $out/tests.tar.xz -C $out && $out/tests/Nibble.Ops.Tests"
    echo "  $out/tests/Nibble.Tests -class 'Nibble.Tests.Models.*'"
fi
