"""Checks and times the attention kernels on a GPU, without the .NET side.

    python3 eng/kernels/attention_check.py             correctness, then timings against torch
    python3 eng/kernels/attention_check.py --no-times  correctness only
    python3 eng/kernels/attention_check.py --group     the warpgroup kernels alone, and their timings beside the others

Compiles src/Nibble.Cuda/Ops/Attention*.cu with NVRTC, compares with float64 torch on the same card, and exits 1 when
anything differs. Needs torch and cupy. Warpgroup kernels (*90.cu) are looked at on sm_90 only.
"""

import math
import sys

import numpy as np
import torch

from launching import kernel, launch

LOG2E = 1.4426950408889634
failures = 0


def i32(x):
    return np.int32(x)


def rows(x):
    """A matrix as its address and its row stride."""
    return x, np.int64(x.stride(0))


class Case:
    """Random operands: strided views of one fused buffer when queries and keys are the same tokens."""

    def __init__(self, heads, kv_heads, width, query_lengths, key_lengths=None, window=0, dtype=torch.bfloat16, seed=1):
        self.H, self.Hkv, self.D, self.window, self.dtype = heads, kv_heads, width, window, dtype
        self.ql = list(query_lengths)
        self.kl = list(key_lengths) if key_lengths else list(query_lengths)
        self.Tq, self.Tk = sum(self.ql), sum(self.kl)
        g = torch.Generator(device="cuda").manual_seed(seed)
        # Rows behind the last token hold NaN: reading them would show.
        def random(rows, cols):
            x = torch.full((rows + 32, cols), math.nan, device="cuda", dtype=dtype)
            x[:rows] = torch.randn(rows, cols, device="cuda", generator=g).to(dtype)
            return x
        q_cols, kv_cols = heads * width, kv_heads * width
        if key_lengths is None:
            fused = random(self.Tq, q_cols + 2 * kv_cols)
            self.q, self.k, self.v = fused[:, :q_cols], fused[:, q_cols:q_cols + kv_cols], fused[:, q_cols + kv_cols:]
        else:
            self.q = random(self.Tq, q_cols)
            fused = random(self.Tk, 2 * kv_cols)
            self.k, self.v = fused[:, :kv_cols], fused[:, kv_cols:]
        self.d_o = random(self.Tq, q_cols)
        cu = lambda lengths: torch.tensor([0] + list(np.cumsum(lengths)), dtype=torch.int32, device="cuda")
        self.cu_q, self.cu_k = cu(self.ql), cu(self.kl)
        self.scale = width ** -0.5
        poison = lambda *shape, dtype=torch.float32: torch.full(shape, math.nan, device="cuda", dtype=dtype)
        self.o = poison(self.Tq, q_cols, dtype=dtype)
        self.lse, self.delta = poison(heads, self.Tq), poison(heads, self.Tq)
        grads = poison(self.Tq, q_cols + 2 * kv_cols, dtype=dtype)
        self.dq, self.dk, self.dv = grads[:, :q_cols], grads[:, q_cols:q_cols + kv_cols], grads[:, q_cols + kv_cols:]
        self.parts = torch.empty(0, device="cuda")
        self.S, self.longest = len(self.ql), max(self.ql)

    def name(self):
        lengths = "+".join(map(str, self.ql)) if self.S <= 6 else f"{self.S} samples"
        keys = "" if self.ql == self.kl else " keys " + "+".join(map(str, self.kl))
        return f"D={self.D} H={self.H}/{self.Hkv} {lengths}{keys}" + (f" window {self.window}" if self.window else "")

    def forward(self, tile=64, group=False):
        """`group`: the warpgroup kernel."""
        D = self.D
        keys = 32 if D > 128 else 64
        if group:
            shared = 4 * tile * D * 2
            f = kernel("Attention90.cu", "attention_forward_group", ("ACTIVATION_BF16",), shared)
        else:
            shared = (tile + 2 * keys) * D * 2
            f = kernel("Attention.cu", f"attention_forward_{tile}", (f"HEAD_DIM={D}", "ACTIVATION_BF16"), shared)
        launch(f, (self.H, self.S, -(-self.longest // tile)), 128, shared,
               *rows(self.q), *rows(self.k), *rows(self.v), self.cu_q, self.cu_k, *rows(self.o), *rows(self.lse),
               i32(self.H // self.Hkv), float(self.scale * LOG2E), i32(self.window))
        return f

    def backward(self, splits=1, walk=0, which="qk", tile=64, group=False):
        """`group`: the warpgroup kernels."""
        D = self.D
        walk = 64 if group else walk
        define = (f"HEAD_DIM={D}", "ACTIVATION_BF16") + ((f"WALK_TILE={walk}",) if walk else ())
        walk = walk or (16 if D > 128 else 32 if D > 64 else 64)
        column_parts = 2 if D > 128 else 1
        shared = (128 + 4 * walk) * D * 2
        query_shared = (2 * tile + 4 * walk) * D * 2
        heads = i32(self.H // self.Hkv)
        scales = float(self.scale), float(self.scale * LOG2E)
        fq = kernel("AttentionBackwardQuery.cu", f"attention_backward_query_{tile}", define, query_shared)
        fk = kernel("AttentionBackwardKey.cu", "attention_backward_key", define, shared + 16 * walk)
        if group:
            fq = kernel(
                "AttentionBackwardQuery90.cu", "attention_backward_query_group", ("ACTIVATION_BF16",), query_shared)
            fk = kernel("AttentionBackwardKey90.cu", "attention_backward_key_128", ("ACTIVATION_BF16",),
                        shared + 16 * walk)
        if "q" in which:
            launch(fq, (self.H, self.S, -(-self.longest // tile)), 128, query_shared,
                   *rows(self.d_o), *rows(self.q), *rows(self.k), *rows(self.v), *rows(self.o), *rows(self.lse),
                   self.cu_q, *rows(self.delta), *rows(self.dq), heads, *scales, i32(self.window))
        if "k" in which:
            size = splits * 2 * self.Tq * self.Hkv * D
            if self.parts.numel() < size:
                self.parts = torch.full((size,), math.nan, device="cuda")
            launch(fk, (self.Hkv * splits * column_parts, self.S, -(-self.longest // 64)), 128, shared + 16 * walk,
                   *rows(self.d_o), *rows(self.q), *rows(self.k), *rows(self.v), *rows(self.lse), self.cu_q,
                   *rows(self.delta), *rows(self.dk), *rows(self.dv), self.parts, i32(self.Tq), i32(self.Hkv), heads,
                   i32(splits), *scales, i32(self.window))
            if splits > 1:
                fs = kernel("AttentionBackwardKey.cu", "attention_backward_sum", define, 0)
                launch(fs, (self.Tq, 2, 1), 128, 0, self.parts, i32(splits), i32(self.Tq), i32(self.Hkv * D), self.cu_q,
                       i32(self.S), *rows(self.dk), *rows(self.dv))
        return fq, fk

    def generic(self):
        return ("ACTIVATION_F32" if self.dtype == torch.float32 else "ACTIVATION_BF16",)

    def generic_tail(self):
        wide = self.D * self.q.element_size() % 16 == 0
        return i32(self.H // self.Hkv), i32(self.D), float(self.scale), i32(self.window), wide

    def generic_forward(self, warps):
        shared = ((1 + warps) * self.D + 2 * warps) * 4
        f = kernel("AttentionGeneric.cu", "attention_generic_forward", self.generic(), shared)
        launch(f, (self.longest, self.H, self.S), 32 * warps, shared,
               *rows(self.q), *rows(self.k), *rows(self.v), self.cu_q, self.cu_k, *rows(self.o), *rows(self.lse),
               *self.generic_tail())

    def generic_backward(self):
        fq = kernel("AttentionGeneric.cu", "attention_generic_backward_query", self.generic(), 0)
        fk = kernel("AttentionGeneric.cu", "attention_generic_backward_key", self.generic(), 0)
        launch(fq, (self.longest, self.H, self.S), 32, 12 * self.D,
               *rows(self.d_o), *rows(self.q), *rows(self.k), *rows(self.v), *rows(self.o), *rows(self.lse), self.cu_q,
               *rows(self.delta), *rows(self.dq), *self.generic_tail())
        launch(fk, (self.longest, self.Hkv, self.S), 32, 16 * self.D,
               *rows(self.d_o), *rows(self.q), *rows(self.k), *rows(self.v), *rows(self.lse), self.cu_q,
               *rows(self.delta), *rows(self.dk), *rows(self.dv), *self.generic_tail())

    def reference(self, backward):
        """float64, sample by sample; gradients by autograd."""
        H, G, D = self.H, self.H // self.Hkv, self.D
        parts = {n: [] for n in ("o", "lse", "dq", "dk", "dv")}
        q0 = k0 = 0
        for n, m in zip(self.ql, self.kl):
            q = self.q[q0:q0 + n].double().view(n, H, D).requires_grad_(backward)
            k = self.k[k0:k0 + m].double().view(m, self.Hkv, D).requires_grad_(backward)
            v = self.v[k0:k0 + m].double().view(m, self.Hkv, D).requires_grad_(backward)
            s = torch.einsum("nhd,mhd->hnm", q, k.repeat_interleave(G, 1)) * self.scale
            i = torch.arange(n, device="cuda")[:, None] + m - n
            j = torch.arange(m, device="cuda")[None, :]
            visible = (j <= i) & ((j > i - self.window) if self.window else torch.ones_like(j <= i))
            s = s.masked_fill(~visible, -math.inf)
            lse = torch.logsumexp(s, -1) if m else torch.full((H, n), -math.inf, device="cuda", dtype=torch.float64)
            p = torch.exp(s - torch.where(lse == -math.inf, torch.zeros_like(lse), lse)[..., None])
            o = torch.einsum("hnm,mhd->nhd", p, v.repeat_interleave(G, 1))
            parts["o"].append(o.detach().reshape(n, H * D))
            parts["lse"].append(lse.detach())
            if backward:
                if n:
                    o.backward(self.d_o[q0:q0 + n].double().view(n, H, D))
                for name, x in (("dq", q), ("dk", k), ("dv", v)):
                    parts[name].append((x.grad if n else x.detach()).reshape(x.shape[0], -1))
            q0, k0 = q0 + n, k0 + m
        return {name: torch.cat(x, 1 if name == "lse" else 0) for name, x in parts.items() if x}

    def compare(self, label, want, names):
        global failures
        # bf16 keeps 8 bits: one rounding of the result is 1.7e-3 in norm; rounded p and ds add about as much again. F32
        # sums of at most a few thousand terms stay far below 1e-5. lse is F32 in both.
        bound = 6e-3 if self.dtype == torch.bfloat16 else 1e-5
        errors = []
        bad = False
        for name in names:
            a, b = getattr(self, name).double(), want[name]
            infinite = torch.isinf(b)
            bad |= not torch.equal(torch.isinf(a), infinite)
            a, b = a.masked_fill(infinite, 0), b.masked_fill(infinite, 0)
            # The floor is for gradients that are exactly 0, as of a single token's query.
            error = ((a - b).norm() / b.norm().clamp_min(1e-3 * math.sqrt(b.numel()))).item()
            errors.append(f"{name} {error:.1e}")
            bad |= not error < (1e-5 if name == "lse" else bound)
        failures += bad
        print(f"{'FAIL' if bad else 'ok  '} {label:26s} {self.name():54s} {'  '.join(errors)}", flush=True)


GRADS = ("dq", "dk", "dv")


def same_bits(case, label, run, names):
    """The same call twice gives the same bits."""
    global failures
    run()
    first = [getattr(case, n).clone() for n in names]
    run()
    if not all(torch.equal(torch.nan_to_num(a), torch.nan_to_num(getattr(case, n))) for a, n in zip(first, names)):
        failures += 1
        print(f"FAIL {label}: two runs differ")


def check_group():
    ragged = [150, 1, 64, 65, 129, 17, 2]
    for case in (
        Case(4, 2, 128, [1]), Case(4, 2, 128, ragged), Case(7, 1, 128, [300, 45], window=70),
        Case(2, 2, 128, [257], window=1), Case(28, 4, 128, [45, 130, 77, 68]), Case(4, 4, 128, [513, 700]),
        Case(28, 4, 128, [512] * 4),
    ):
        want = case.reference(True)
        case.forward(group=True)
        case.compare("forward group", want, ("o", "lse"))
        same_bits(case, "forward group", lambda: case.forward(group=True), ("o", "lse"))
        for splits in sorted({1, min(5, case.H // case.Hkv)}):
            case.dq.fill_(math.nan), case.dk.fill_(math.nan), case.dv.fill_(math.nan), case.delta.fill_(math.nan)
            case.backward(splits, group=True)
            case.compare(f"backward group, splits {splits}", want, GRADS)
            same_bits(case, f"backward group {splits}", lambda: case.backward(splits, group=True), GRADS)
    for case in (
        Case(4, 2, 128, [1, 70, 3, 5], [130, 200, 3, 2]), Case(4, 1, 128, [1, 90, 64], [500, 40, 1000], window=50),
    ):
        case.forward(group=True)
        case.compare("forward group", case.reference(False), ("o", "lse"))


def check():
    ragged = [150, 1, 64, 65, 129, 17, 2]
    for D in (128, 64, 32, 96, 256):
        for tile in ((64, 128) if D <= 128 else (64,)):
            for case in (
                Case(4, 2, D, [1]),
                Case(4, 2, D, ragged),
                Case(7, 1, D, [300, 45], window=70),
                Case(2, 2, D, [257], window=1),
                Case(28, 4, D, [45, 130, 77, 68]),
                Case(4, 4, D, [513, 700]),
            ):
                want = case.reference(True)
                case.forward(tile)
                case.compare(f"forward {tile}", want, ("o", "lse"))
                for splits in sorted({1, min(2, case.H // case.Hkv), min(5, case.H // case.Hkv)}):
                    case.dq.fill_(math.nan), case.dk.fill_(math.nan), case.dv.fill_(math.nan)
                    case.backward(splits, tile=tile)
                    case.compare(f"backward {tile}, splits {splits}", want, GRADS)
            for case in (
                Case(4, 2, D, [1, 70, 3, 5], [130, 200, 3, 2]),
                Case(4, 1, D, [1, 90, 64], [500, 40, 1000], window=50),
            ):
                case.forward(tile)
                case.compare(f"forward {tile}", case.reference(False), ("o", "lse"))
    big = Case(28, 4, 128, [512] * 4)
    want = big.reference(True)
    for tile in (64, 128):
        big.forward(tile)
        big.compare(f"forward {tile}", want, ("o", "lse"))
        same_bits(big, f"forward {tile}", lambda: big.forward(tile), ("o", "lse"))
    for splits, tile in ((1, 64), (1, 128), (2, 128), (7, 64)):
        big.backward(splits, tile=tile)
        big.compare(f"backward {tile}, splits {splits}", want, GRADS)
        same_bits(big, f"backward {tile} {splits}", lambda: big.backward(splits, tile=tile), GRADS)
    for dtype in (torch.float32, torch.bfloat16):
        for D in (128, 7, 40, 65):
            for case in (Case(4, 2, D, [50, 1, 33, 5], dtype=dtype), Case(3, 1, D, [70, 300], window=9, dtype=dtype)):
                want = case.reference(True)
                for warps in (1, 2, 8):
                    case.generic_forward(warps)
                    case.compare(f"generic forward, warps {warps}", want, ("o", "lse"))
                case.generic_backward()
                case.compare("generic backward", want, GRADS)
            case = Case(4, 1, D, [1, 3, 5], [700, 100, 2], dtype=dtype)
            case.generic_forward(8)
            case.compare("generic forward, warps 8", case.reference(False), ("o", "lse"))


def microseconds(body, count=20):
    """Per call, from a replayed graph, so that launch costs of the interpreter stay out; median of 7."""
    body()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(count):
            body()
    times = []
    for _ in range(8):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        graph.replay()
        b.record()
        torch.cuda.synchronize()
        times.append(a.elapsed_time(b) * 1000 / count)
    return sorted(times[1:])[3]


def attempt(body):
    try:
        return f"{microseconds(body):8.1f}"
    except Exception as e:
        torch.cuda.synchronize()
        print("   ", type(e).__name__, str(e)[:200])
        return "       -"


def times():
    print("\nkernel                             D  registers  local bytes")
    for D in (128,) if "--group" in sys.argv else (128, 64, 32, 96, 256):
        case = Case(2, 1, D, [64])
        listed = [("attention_forward_64", case.forward(64))]
        if D <= 128:
            listed.append(("attention_forward_128", case.forward(128)))
            listed.append(("attention_backward_query_128", case.backward(tile=128)[0]))
        listed += zip(("attention_backward_query_64", "attention_backward_key"), case.backward())
        if D == 128:
            listed.append(("attention_backward_key, walk 64", case.backward(walk=64)[1]))
            if HAS_GROUPS:
                listed.append(("attention_forward_group", case.forward(group=True)))
                listed += zip(
                    ("attention_backward_query_group", "attention_backward_key_128"), case.backward(group=True))
        for name, f in listed:
            print(f"{name:32s} {D:3d} {f.num_regs:10d} {f.local_size_bytes:12d}")
    print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}, "
          "H=28 Hkv=4 D=128 bf16 causal, microseconds per call")
    for lengths in ([2048], [2048] * 4, [512] * 4, [80] * 4, [45, 130, 77, 68], [80] * 32):
        case = Case(28, 4, 128, lengths)
        T, B, L = case.Tq, case.S, case.longest
        forward_flops = sum(4 * n * n * 128 * 28 / 2 for n in lengths)
        row = lambda label, text, flops: print(
            f"  {label:44s} {text} us  {flops / float(text) / 1e6 if '-' not in text else 0:7.1f} TFLOP/s", flush=True)
        print(case.name() if B <= 6 else f"{B} x {L}")
        row("forward 64", attempt(lambda: case.forward(64)), forward_flops)
        row("forward 128", attempt(lambda: case.forward(128)), forward_flops)
        if HAS_GROUPS:
            row("forward group", attempt(lambda: case.forward(group=True)), forward_flops)
            row("backward query group", attempt(lambda: case.backward(1, 0, "q", group=True)), forward_flops * 1.5)
            for splits in (1, 2, 4, 7):
                row(f"backward key group, splits {splits}",
                    attempt(lambda: case.backward(splits, 0, "k", group=True)), forward_flops * 2)
        for tile in (64, 128):
            for walk in (32, 64) if tile == 64 else (32,):
                row(f"backward query {tile}, walk {walk}", attempt(lambda: case.backward(1, walk, "q", tile)),
                    forward_flops)
        for walk in (32, 64):
            for splits in (1, 2, 4, 7):
                row(f"backward key, walk {walk}, splits {splits}",
                    attempt(lambda: case.backward(splits, walk, "k")), forward_flops * 1.5)
        q = torch.randn(B, 28, L, 128, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        k = torch.randn(B, 28, L, 128, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        v = torch.randn(B, 28, L, 128, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        d_o = torch.randn(B, 28, L, 128, device="cuda", dtype=torch.bfloat16)
        sdpa = lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        with torch.no_grad():
            f = attempt(sdpa)
        row("torch SDPA forward (K, V repeated, padded)", f, forward_flops)
        both = attempt(lambda: torch.autograd.grad(sdpa(), (q, k, v), d_o))
        back = f"{float(both) - float(f):8.1f}" if "-" not in both + f else "       -"
        row("torch SDPA backward (no sum over groups)", back, forward_flops * 2.5)
    print("\ndecoding: one query row per sample, H=28 Hkv=4 D=128, microseconds per call")
    for samples, keys in ((1, 512), (1, 4096), (8, 2048)):
        case = Case(28, 4, 128, [1] * samples, [keys] * samples)
        print(f"  {samples} x {keys} keys: generic, 8 warps {attempt(lambda: case.generic_forward(8))}"
              f"   tiles {attempt(lambda: case.forward(64))}")


HAS_GROUPS = torch.cuda.get_device_capability() == (9, 0)
if HAS_GROUPS:
    check_group()
if "--group" not in sys.argv:
    check()
print(f"{failures} failed")
if "--no-times" not in sys.argv:
    times()
sys.exit(1 if failures else 0)
