"""Compiles the kernels of src/Nibble.Cuda and launches them on torch's tensors, without the .NET side."""

import ctypes
import os
import sys
import tempfile

import cupy
import numpy as np
import torch

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "Nibble.Cuda")
modules = {}
kernels = {}


def cubin(file, code, options):
    """sm_90a by the NVRTC that CuPy has loaded: CuPy itself names an architecture of its own."""
    cupy.cuda.nvrtc.getVersion()
    with open("/proc/self/maps") as maps:
        path = next(line.split()[-1] for line in maps if "libnvrtc.so" in line)
    nvrtc, program, size = ctypes.CDLL(path), ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), code.encode(), file.encode(), 0, None, None)
    options = [o.encode() for o in ["--gpu-architecture=sm_90a", *options]]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    if log.value.strip():
        print(f"{file}: {log.value.decode().strip()}")
    if failed:
        sys.exit(1)
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    data = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, data)
    with tempfile.NamedTemporaryFile(suffix=".cubin", delete=False) as f:
        f.write(data.raw)
    return f.name


def kernel(file, name, defines, shared):
    module = (file, defines)
    if module not in modules:
        with open(os.path.join(ROOT, "Ops", file)) as f:
            code = f.read()
        options = ["-std=c++17", "-default-device", "-I" + os.path.join(ROOT, "Headers")] + ["-D" + d for d in defines]
        modules[module] = (cupy.RawModule(path=cubin(file, code, options)) if "90" in file
                           else cupy.RawModule(code=code, options=tuple(options), backend="nvrtc"))
    key = module + (name, shared)
    if key not in kernels:
        kernels[key] = modules[module].get_function(name)
        # What the kernel declares itself counts too.
        if shared > 47 << 10:
            kernels[key].max_dynamic_shared_size_bytes = shared
    return kernels[key]


def launch(f, grid, threads, shared, *arguments):
    values = []
    for a in arguments:
        if isinstance(a, torch.Tensor):
            values.append(np.uint64(a.data_ptr()))
        elif isinstance(a, bool):
            values.append(np.bool_(a))
        elif isinstance(a, float):
            values.append(np.float32(a))
        else:
            values.append(a)
    stream = cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)
    with stream:
        f(grid, (threads, 1, 1), tuple(values), shared_mem=shared)
