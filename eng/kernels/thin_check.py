"""Checks and times the thin products of LoRA (MatMulThin.cu, MatMulTokens.cu, LowRankBackward.cu) on a GPU, without
the .NET side.

    python3 eng/kernels/thin_check.py             correctness, then timings against torch
    python3 eng/kernels/thin_check.py --no-times  correctness only

Compares with float64 torch on the same card and exits 1 when anything differs. Needs torch and cupy.
"""

import itertools
import math
import sys

import numpy as np
import torch

from launching import kernel, launch

failures = 0
parts = torch.full((8 << 20,), math.nan, device="cuda")
tickets = torch.zeros(4096, device="cuda", dtype=torch.int32)
random = torch.Generator(device="cuda").manual_seed(1)


def i32(x):
    return np.int32(x)


def rows(x):
    return x, np.int64(x.stride(0))


def wide(x):
    """Whether rows are whole 16-byte chunks."""
    return (x.data_ptr() | x.stride(0) * 2 | x.shape[1] * 2) % 16 == 0


def ceil(a, b):
    return -(-a // b)


def thin(a, b, transpose_b, c, alpha=1.0, accumulate=False, splits=1):
    (T, K), R = a.shape, c.shape[1]
    blocks = ceil(R, 8)
    shared = 8 * 2 * 64 * (blocks * 16 if transpose_b else (blocks | 1) * 16)
    f = kernel("MatMulThin.cu", "thin_nt" if transpose_b else "thin_nn", (f"BLOCKS={blocks}",), shared)
    launch(f, (splits, ceil(T, 16), 1), 256, shared, *rows(a), *rows(b), i32(wide(b)), *rows(c),
           i32(T), i32(R), i32(K), float(alpha), i32(accumulate), parts, tickets)


def token_sums(a, b, c, alpha=1.0, accumulate=False, splits=1):
    """c [W, R] or its transpose: which is told by its strides."""
    (T, W), R = a.shape, b.shape[1]
    blocks = ceil(R, 8)
    shared = 8 * 3 * 32 * (64 + (blocks | 1) * 16)
    f = kernel("MatMulTokens.cu", "token_sums", (f"BLOCKS={blocks}",), shared)
    launch(f, (ceil(W, 32), splits, 1), 256, shared, *rows(a), *rows(b), i32(wide(b)), c,
           np.int64(c.stride(0)), np.int64(c.stride(1)), i32(T), i32(W), i32(R), float(alpha), i32(accumulate), parts,
           tickets)


def low_rank(dy, b, u, blocks, scale, du, splits=1, token_splits=1, fused=True):
    """blocks: (first row, first column of u, gradient)."""
    (T, N), R = dy.shape, u.shape[1]
    most = ceil(max(g.shape[1] for _, _, g in blocks), 8)
    ranks = ceil(R, 8) if fused else most
    owners = ceil(T, 16) if fused else 0
    shared = max(8 * 2 * 64 * (ranks | 1) * 16, 8 * 3 * 32 * (64 + (most | 1) * 16))
    f = kernel("LowRankBackward.cu", "low_rank_backward", (f"RANK_BLOCKS={ranks}", f"BLOCKS={most}"), shared)
    described = []
    for i in range(3):
        row, rank, g = blocks[i] if i < len(blocks) else (0, 0, torch.empty(0, 0, device="cuda"))
        described += [i32(row), i32(g.shape[0]), i32(rank), i32(g.shape[1]), g, np.int64(g.stride(0))]
    u_wide = all(wide(u[:, rank:rank + g.shape[1]]) for _, rank, g in blocks)
    grid = owners * splits + sum(ceil(g.shape[0], 32) for _, _, g in blocks) * token_splits
    launch(f, (grid, 1, 1), 256, shared, *rows(dy), *rows(b), i32(wide(b)), *rows(u), i32(u_wide), *rows(du), i32(T),
           i32(N), i32(R), i32(owners), i32(splits), i32(token_splits), float(scale), *described, parts, tickets)


def matrix(height, width, left=0, right=0, scale=1.0):
    """Random columns of a wider matrix whose other columns, and rows behind the last, are NaN: reading them would
    show."""
    x = torch.full((height + 40, left + width + right), math.nan, device="cuda", dtype=torch.bfloat16)
    x[:height, left:left + width] = torch.randn(height, width, device="cuda", generator=random) * scale
    return x[:height, left:left + width]


def compare(label, run, c, base, want, exact):
    """Twice, for the same bits; what c is a view of must not change outside c."""
    global failures
    before = base.clone()
    run()
    first = base.clone()
    c.copy_(before.as_strided(c.shape, c.stride(), c.storage_offset()))
    run()
    torch.cuda.synchronize()
    same = torch.equal(torch.nan_to_num(first), torch.nan_to_num(base))
    # Of what an element may differ by: half a bf16 gap, and what sums in F32 walk away.
    allowed = (0 if exact else want.abs() * 2.0 ** -8) + 2e-5 * want.norm() / math.sqrt(want.numel())
    error = ((c.double() - want).abs() / allowed).max().item()
    outside = base.clone()
    outside.as_strided(c.shape, c.stride(), c.storage_offset()).copy_(
        before.as_strided(c.shape, c.stride(), c.storage_offset()))
    stray = not torch.equal(torch.nan_to_num(outside), torch.nan_to_num(before))
    bad = not error <= 1 or not same or stray or int(tickets.abs().sum()) != 0
    failures += bad
    if bad:
        print(f"FAIL {label}: error {error:.1e} same {same} stray {stray} tickets {int(tickets.abs().sum())}",
              flush=True)


def check_thin(T, K, R, **options):
    for transpose_b, strided in itertools.product((False, True), (False, True)):
        a = matrix(T, K, 8 if strided else 0, 16 if strided else 0)
        if transpose_b:
            b = matrix(R, K, scale=0.1)
        else:
            b = matrix(K, R, *((3, 2) if strided else (0, 0)), scale=0.1)
        base = torch.full((T + 40, R + 5 if strided else R), math.nan, device="cuda", dtype=torch.bfloat16)
        c = base[:T, 2:2 + R] if strided else base[:T]
        for accumulate in (False, True):
            c.copy_(torch.randn(T, R, device="cuda", generator=random) if accumulate else torch.full_like(c, math.nan))
            old = c.double()
            want = 0.5 * a.double() @ (b.double().T if transpose_b else b.double()) + (old if accumulate else 0)
            compare(f"thin T={T} K={K} R={R} {transpose_b=} {strided=} {accumulate=} {options}",
                    lambda: thin(a, b, transpose_b, c, 0.5, accumulate, **options), c, base, want, False)


def check_sums(T, W, R, **options):
    for by_rows, strided in itertools.product((False, True), (False, True)):
        a = matrix(T, W, 8 if strided else 0, 16 if strided else 0)
        b = matrix(T, R, *((3, 2) if strided else (0, 0)))
        shape = (W, R) if by_rows else (R, W)
        base = torch.full((shape[0], shape[1] + (7 if strided else 0)), math.nan, device="cuda")
        c = base[:, 2:2 + shape[1]] if strided else base
        for accumulate in (False, True):
            c.copy_(torch.randn(shape, device="cuda", generator=random) if accumulate else torch.full_like(c, math.nan))
            old = c.double()
            product = a.double().T @ b.double()
            want = -0.5 * (product if by_rows else product.T) + (old if accumulate else 0)
            view = c if by_rows else c.T
            compare(f"sums T={T} W={W} R={R} {by_rows=} {strided=} {accumulate=} {options}",
                    lambda: token_sums(a, b, view, -0.5, accumulate, **options), c, base, want, True)


def check_low_rank(T, R, widths, **options):
    N, total = sum(widths), R * len(widths)
    dy, u = matrix(T, N, 8, 16), matrix(T, total, 8, 0)
    b = torch.zeros(N, total, device="cuda", dtype=torch.bfloat16)
    base = torch.full((T + 40, total), math.nan, device="cuda", dtype=torch.bfloat16)
    du = base[:T]
    blocks, wants, row = [], [], 0
    for i, w in enumerate(widths):
        b[row:row + w, i * R:(i + 1) * R] = torch.randn(w, R, device="cuda", generator=random) * 0.1
        g = torch.randn(w, R, device="cuda", generator=random)
        wants.append((g, g.clone(),
                      g.double() + 0.5 * dy[:, row:row + w].double().T @ u[:, i * R:(i + 1) * R].double()))
        blocks.append((row, i * R, g))
        row += w
    label = f"low rank T={T} R={R} N={widths} {options}"

    def run():
        for g, old, _ in wants:
            g.copy_(old)
        low_rank(dy, b, u, blocks, 0.5, du, **options)

    compare(label, run, du, base, dy.double() @ b.double(), False)
    for g, _, want in wants:
        compare(f"{label} gradient {tuple(g.shape)}", run, g, g, want, True)


def check():
    for T, R, widths in ((1, 8, (256, 64, 64)), (17, 4, (264, 56, 24)), (320, 8, (3584, 512, 512)), (63, 24, (520,)),
                         (333, 12, (264, 200)), (1000, 16, (1000,)), (700, 3, (296,))):
        for splits, token_splits in ((1, 1), (5, 1), (2, 3), (8, 8)):
            check_low_rank(T, R, widths, splits=splits, token_splits=token_splits)
    for T, K, R in ((1, 3584, 8), (3, 264, 4), (17, 72, 24), (63, 4608, 24), (65, 520, 12), (320, 3584, 8),
                    (320, 4608, 24), (1000, 1000, 16), (129, 18944, 8), (70, 8, 18), (33, 3584, 5)):
        for splits in (1, 2, 5, 8):
            check_thin(T, K, R, splits=splits)
    for T, W, R in ((1, 3584, 8), (3, 264, 4), (17, 72, 24), (63, 4608, 24), (65, 520, 12), (320, 3584, 8),
                    (320, 512, 8), (1000, 1000, 16), (2049, 520, 8), (70, 8, 18), (333, 3584, 5)):
        for splits in (1, 2, 5, 8):
            check_sums(T, W, R, splits=splits)


def microseconds(bodies, count):
    """Per call, from a replayed graph, going round the bodies; median of 5."""
    for body in bodies:
        body()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(count):
            bodies[i % len(bodies)]()
    taken = []
    for _ in range(6):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        graph.replay()
        b.record()
        torch.cuda.synchronize()
        taken.append(a.elapsed_time(b) * 1000 / count)
    return sorted(taken[1:])[2]


def sets(T, K):
    """How many inputs it takes so that none is in the second-level cache when its turn comes again."""
    return max(2, ceil(160 << 20, T * K * 2))


def row(label, bodies):
    print(f"  {label:44s} {microseconds(bodies, max(8, len(bodies))):8.2f} us "
          f"{microseconds(bodies[:1], 20):8.2f} us in cache", flush=True)


def times():
    print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}: K=3584, N=3584+512+512, R=8 for each")
    bf16 = {"device": "cuda", "dtype": torch.bfloat16}
    for T in (1, 320, 1024, 2048, 4096, 8192):
        print(f"T={T}")
        count = min(sets(T, 4608), 48)
        dys = [torch.randn(T, 4608, **bf16) for _ in range(count)]
        xs = [dy[:, :3584] for dy in dys]
        A, b, u, du = (torch.randn(*s, **bf16) for s in ((24, 3584), (4608, 24), (T, 24), (T, 24)))
        dA, dB = torch.zeros(24, 3584, device="cuda"), torch.zeros(4608, 8, device="cuda")
        blocks = [(0, 0, dB[:3584]), (3584, 8, dB[3584:4096]), (4096, 16, dB[4096:])]
        owners = ceil(T, 16)
        parts_of = lambda depth: max(1, min(132 // owners, ceil(depth, 1024), 8))
        row("x A^T, torch", [lambda x=x: torch.mm(x, A.T, out=du) for x in xs])
        row("x A^T", [lambda x=x: thin(x, A, True, du, splits=parts_of(3584)) for x in xs])
        row("dy B, torch", [lambda dy=dy: torch.mm(dy, b, out=du) for dy in dys])
        row("dy B", [lambda dy=dy: thin(dy, b, False, du, splits=parts_of(4608)) for dy in dys])
        row("dA, torch, not added", [lambda x=x: torch.mm(u.T, x, out_dtype=torch.float32) for x in xs])
        row("dA", [lambda x=x: token_sums(x, u, dA.T, 1.0, True) for x in xs])
        row("dB of q", [lambda x=x: token_sums(x, u[:, :8], dB[:3584], 1.0, True) for x in xs])
        row("dB of q, k, v", [lambda dy=dy: low_rank(dy, b, u, blocks, 1.0, du, fused=False) for dy in dys])
        row("dy B and dB of q, k, v",
            [lambda dy=dy: low_rank(dy, b, u, blocks, 1.0, du, splits=parts_of(4608)) for dy in dys])
        u1, b1, du1 = u[:, :8].contiguous(), b[:3584, :8].contiguous(), du[:, :8].contiguous()
        block = [(0, 0, dB[:3584])]
        row("dy B of o, torch", [lambda x=x: torch.mm(x, b1, out=du1) for x in xs])
        row("dy B of o", [lambda x=x: thin(x, b1, False, du1, splits=parts_of(3584)) for x in xs])
        row("dy B and dB of o", [lambda x=x: low_rank(x, b1, u1, block, 1.0, du1, splits=parts_of(3584)) for x in xs])


if __name__ == "__main__":
    check()
    print(f"{failures} failed")
    if "--no-times" not in sys.argv:
        times()
    sys.exit(1 if failures else 0)
