#!/usr/bin/env bash
# Builds what runs on a GPU machine that has a driver and nothing else: no SDK, no .NET.
#
#   eng/gpu.sh            publish/gpu/nibble: the program as one file (trimmed, ReadyToRun, linux-x64)
#   eng/gpu.sh --tests    also publish/gpu/ops-tests.tgz: every op case against the reference, on every backend there
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
    tests=$out/ops-tests
    dotnet publish tests/Nibble.Ops.Tests/Nibble.Ops.Tests.csproj -c Release -r linux-x64 --self-contained \
        -o "$tests" -v quiet --nologo
    tar -czf "$tests.tgz" -C "$out" ops-tests
    rm -rf "$tests"
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
    echo "  tar -xzf $out/ops-tests.tgz -C $out && $out/ops-tests/Nibble.Ops.Tests"
fi
