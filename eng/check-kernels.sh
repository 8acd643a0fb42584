#!/usr/bin/env bash
# Compiles every kernel file with NVRTC and ptxas, without a GPU, and fails on errors, spills and local memory.
#
#   eng/check-kernels.sh NVRTC_LIB_DIR [--arch sm_80,sm_90] [File.cu ...]
#
# NVRTC_LIB_DIR holds libnvrtc.so.* and libnvrtc-builtins.so.* (a toolkit's lib64, or site-packages/nvidia/*/lib).
# A file is compiled for both activation types, for each line `// check: NAME=value ...` in it if there are any. A line
# `// check-arch: sm_90a` restricts the file to that architecture; when NVRTC does not know it, clang checks the syntax
# if CLANG names one and CUDA_SHIM a header with NVRTC's built-in declarations, and otherwise the file is skipped aloud.
set -euo pipefail
if [ $# -lt 1 ]; then
    sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//'
    exit 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
exec env PYTHONUTF8=1 python3 - "$root/src/Nibble.Cuda" "$@" <<'PY'
import ctypes, glob, os, re, subprocess, sys

source, libs, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
arches = ["sm_80", "sm_90"]
if rest[:1] == ["--arch"]:
    arches, rest = rest[1].split(","), rest[2:]

def load(pattern):
    found = sorted(p for p in glob.glob(os.path.join(libs, pattern)) if ".alt." not in p)
    if not found:
        sys.exit(f"no {pattern} in {libs}")
    return ctypes.CDLL(found[-1])

load("libnvrtc-builtins.so*")
nvrtc = load("libnvrtc.so*")
major, minor = ctypes.c_int(), ctypes.c_int()
nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
knows_90a = major.value >= 12

def compile_one(path, options):
    program, text = ctypes.c_void_p(), open(path, "rb").read()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, os.path.basename(path).encode(), 0, None, None)
    options = [o.encode() for o in options]
    code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return code, log.value.decode()

def clang(path, defines):
    if not os.environ.get("CLANG") or not os.environ.get("CUDA_SHIM"):
        return None
    command = [os.environ["CLANG"], "-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch=sm_90a", "-nocudainc",
               "-nocudalib", "-std=c++17", "-include", os.environ["CUDA_SHIM"], "-I", os.path.join(source, "Headers"),
               "-fsyntax-only", *defines, path]
    return subprocess.run(command, capture_output=True, text=True)

failed = skipped = kernels = 0
files = sorted(glob.glob(os.path.join(source, "**", "*.cu"), recursive=True))
for path in files:
    name, text = os.path.basename(path), open(path, encoding="utf-8").read()
    if rest and name not in rest:
        continue
    variants = re.findall(r"^// check: (.+)$", text, re.M) or [""]
    types = ["-DACTIVATION_BF16=1", "-DACTIVATION_F32=1"] if re.search(r"\bact\b", text) else ["-DACTIVATION_NONE=1"]
    only = re.findall(r"^// check-arch: (\S+)$", text, re.M)
    for arch in only or arches:
        for variant in variants:
            for kind in types:
                defines = [kind] + ["-D" + d for d in variant.split()]
                where = f"{name} {arch} {' '.join(defines)}"
                if arch == "sm_90a" and not knows_90a:
                    result = clang(path, defines)
                    if result is None:
                        print(f"{where}: skipped, NVRTC {major.value}.{minor.value} does not know {arch}")
                        skipped += 1
                    elif result.returncode:
                        print(f"{where}: FAILED\n{result.stderr}")
                        failed += 1
                    else:
                        print(f"{where}: syntax ok")
                    continue
                options = ["--gpu-architecture=" + arch, "-std=c++17", "-default-device", "--ptxas-options=-v"]
                code, log = compile_one(path, options + ["-I" + os.path.join(source, "Headers"), *defines])
                if code or "warning" in log:
                    print(f"{where}: FAILED\n{log}")
                    failed += 1
                    continue
                for kernel, body in re.findall(r"Compiling entry function '(\w+)'.*?\n(.*?Used [^\n]*)", log, re.S):
                    kernels += 1
                    registers = re.search(r"Used (\d+) registers", body).group(1)
                    shared = re.search(r"(\d+) bytes smem", body)
                    number = r"(\d+) bytes "
                    spills = re.search(f"{number}stack frame, {number}spill stores, {number}spill loads", body)
                    bad = spills and any(int(n) for n in spills.groups())
                    failed += 1 if bad else 0
                    print(f"{where}: {kernel}: {registers} registers, {shared.group(1) if shared else 0} bytes shared"
                          + (f", SPILLS: {spills.group(0)}" if bad else ""))
print(f"{kernels} kernels checked with NVRTC {major.value}.{minor.value}, {skipped} files skipped, {failed} failed")
sys.exit(1 if failed else 0)
PY
