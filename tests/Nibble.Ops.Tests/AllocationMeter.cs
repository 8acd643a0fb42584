using System.Runtime.CompilerServices;
using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>
/// Passes ops on to another backend, several times each: the first call may build what is kept, later ones may not
/// allocate. The numbers of in-place ops change with that; only bytes are looked at.
/// </summary>
internal sealed class AllocationMeter(IBackend inner) : IBackend
{
    /// <summary>Every op that was called.</summary>
    public HashSet<string> CalledOps { get; } = [];

    /// <summary>Ops that allocated, with the bytes of two calls.</summary>
    public Dictionary<string, long> Allocations { get; } = [];

    /// <summary>What runs, for the message.</summary>
    public string Case { get; set; } = "";

    public string Name => inner.Name;

    public DType ActivationType => inner.ActivationType;

    public TensorView DequantizationScratch
    {
        get => inner.DequantizationScratch;
        set => inner.DequantizationScratch = value;
    }

    public bool NeedsDequantizationScratch => inner.NeedsDequantizationScratch;

    public DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device) => inner.Allocate(bytes, kind);

    public void Upload(ReadOnlySpan<byte> source, TensorView destination) => inner.Upload(source, destination);

    public void Download(TensorView source, Span<byte> destination) => inner.Download(source, destination);

    public void Zero(TensorView destination) => inner.Zero(destination);

    public void Synchronize() => inner.Synchronize();

    public void Dispose() => inner.Dispose();

    public void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd) =>
        Measure(() => inner.RmsNorm(x, weight, epsilon, y, rstd));

    public void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon,
        TensorView y, TensorView rstd) =>
        Measure(() => inner.AddRmsNorm(x, delta, sum, weight, epsilon, y, rstd));

    public void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight) =>
        Measure(() => inner.RmsNormBackward(dy, x, weight, rstd, dx, accumulate, dWeight));

    public void Rope(TensorView x, TensorView positions, TensorView table, bool inverse) =>
        Measure(() => inner.Rope(x, positions, table, inverse));

    public void GatherRows(TensorView x, TensorView index, TensorView y) =>
        Measure(() => inner.GatherRows(x, index, y));

    public void ScatterRows(TensorView x, TensorView index, TensorView y) =>
        Measure(() => inner.ScatterRows(x, index, y));

    public void Embedding(TensorView ids, TensorView table, TensorView y) =>
        Measure(() => inner.Embedding(ids, table, y));

    public void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable) =>
        Measure(() => inner.EmbeddingBackward(ids, dy, dTable));

    public void ColumnSum(TensorView x, TensorView y) => Measure(() => inner.ColumnSum(x, y));

    public void SwiGlu(TensorView gateUp, TensorView h) => Measure(() => inner.SwiGlu(gateUp, h));

    public void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp) =>
        Measure(() => inner.SwiGluBackward(dh, gateUp, dGateUp));

    public void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false) =>
        Measure(() => inner.MatMul(a, transposeA, b, transposeB, c, alpha, accumulate));

    public void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du)
    {
        var copy = blocks.ToArray();
        Measure(() => inner.LowRankBackward(dy, b, u, copy, scale, du));
    }

    public void Linear(TensorView x, FrozenLinear weight, TensorView y) => Measure(() => inner.Linear(x, weight, y));

    public void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate) =>
        Measure(() => inner.LinearBackward(dy, weight, dx, accumulate));

    public void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax) =>
        Measure(() => inner.Quantize4Bit(x, code, codes, absMax));

    public float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax)
    {
        var offset = 0f;
        Measure(() => offset = inner.QuantizeAbsMax(absMax, codes, nestedAbsMax));
        return offset;
    }

    public void Dequantize4Bit(QuantizedMatrix x, TensorView y) => Measure(() => inner.Dequantize4Bit(x, y));

    public void Add(TensorView x, TensorView y) => Measure(() => inner.Add(x, y));

    public void Convert(TensorView x, TensorView y, float scale = 1) => Measure(() => inner.Convert(x, y, scale));

    public void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset,
        bool accumulate = false) =>
        Measure(() => inner.Dropout(x, y, probability, key, stream, rowOffset, accumulate));

    public void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale) =>
        Measure(() => inner.CrossEntropy(logits, targets, losses, gradientScale));

    public void AccumulateSum(TensorView values, double scale, TensorView total) =>
        Measure(() => inner.AccumulateSum(values, scale, total));

    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey,
        in AttentionShape shape, TensorView o, TensorView lse)
    {
        var copy = shape;
        Measure(() => inner.Attention(q, k, v, cuQuery, cuKey, copy, o, lse));
    }

    public void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        var copy = shape;
        Measure(() => inner.AttentionBackward(dO, q, k, v, o, lse, cu, copy, delta, dq, dk, dv));
    }

    public void GradientNorm(TensorView gradient, TensorView norm) => Measure(() => inner.GradientNorm(gradient, norm));

    public void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm)
    {
        var copy = step;
        Measure(() => inner.AdamW(parameters, state, copy, norm));
    }

    public void RefreshCompute(ParameterSet parameters) => Measure(() => inner.RefreshCompute(parameters));

    public Transfer Offload(TensorView x, TensorView host)
    {
        var transfer = default(Transfer);
        Measure(() => transfer = inner.Offload(x, host));
        return transfer;
    }

    public Transfer Fetch(TensorView host, TensorView y)
    {
        var transfer = default(Transfer);
        Measure(() => transfer = inner.Fetch(host, y));
        return transfer;
    }

    public void Await(Transfer transfer) => Measure(() => inner.Await(transfer));

    private void Measure(Action call, [CallerMemberName] string op = "")
    {
        CalledOps.Add(op);
        call();
        var bytes = long.MaxValue;
        // What is made once (a buffer that grows, a wait handle at the first contention) is gone in the next round.
        for (var round = 0; round < 3 && bytes > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            call();
            call();
            bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        if (bytes > 0)
        {
            Allocations[$"{op} in {Case}"] = bytes;
        }
    }
}
