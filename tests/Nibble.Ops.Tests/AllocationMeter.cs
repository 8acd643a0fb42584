using System.Runtime.CompilerServices;
using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>
/// Passes ops on to another backend, several times each: the first call may build what is kept, later ones may not
/// allocate. The numbers of in-place ops change with that; only bytes are looked at.
/// </summary>
internal sealed class AllocationMeter(IBackend inner) : ForwardingBackend(inner)
{
    /// <summary>Every op that was called.</summary>
    public HashSet<string> CalledOps { get; } = [];

    /// <summary>Ops that allocated, with the bytes of two calls.</summary>
    public Dictionary<string, long> Allocations { get; } = [];

    /// <summary>What runs, for the message.</summary>
    public string Case { get; set; } = "";

    public override void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd) =>
        Measure(() => base.RmsNorm(x, weight, epsilon, y, rstd));

    public override void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon,
        TensorView y, TensorView rstd) =>
        Measure(() => base.AddRmsNorm(x, delta, sum, weight, epsilon, y, rstd));

    public override void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight) =>
        Measure(() => base.RmsNormBackward(dy, x, weight, rstd, dx, accumulate, dWeight));

    public override void Rope(TensorView x, TensorView positions, TensorView table, bool inverse) =>
        Measure(() => base.Rope(x, positions, table, inverse));

    public override void GatherRows(TensorView x, TensorView index, TensorView y) =>
        Measure(() => base.GatherRows(x, index, y));

    public override void ScatterRows(TensorView x, TensorView index, TensorView y) =>
        Measure(() => base.ScatterRows(x, index, y));

    public override void Embedding(TensorView ids, TensorView table, TensorView y) =>
        Measure(() => base.Embedding(ids, table, y));

    public override void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable) =>
        Measure(() => base.EmbeddingBackward(ids, dy, dTable));

    public override void ColumnSum(TensorView x, TensorView y) => Measure(() => base.ColumnSum(x, y));

    public override void SwiGlu(TensorView gateUp, TensorView h) => Measure(() => base.SwiGlu(gateUp, h));

    public override void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp, TensorView h) =>
        Measure(() => base.SwiGluBackward(dh, gateUp, dGateUp, h));

    public override void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false) =>
        Measure(() => base.MatMul(a, transposeA, b, transposeB, c, alpha, accumulate));

    public override void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du)
    {
        var copy = blocks.ToArray();
        Measure(() => base.LowRankBackward(dy, b, u, copy, scale, du));
    }

    public override void LinearLowRank(
        TensorView x, FrozenLinear weight, TensorView u, TensorView b, TensorView y) =>
        Measure(() => base.LinearLowRank(x, weight, u, b, y));

    public override void LinearLowRankBackward(
        TensorView dy, FrozenLinear weight, TensorView du, TensorView a, TensorView dx) =>
        Measure(() => base.LinearLowRankBackward(dy, weight, du, a, dx));

    public override void Linear(TensorView x, FrozenLinear weight, TensorView y) =>
        Measure(() => base.Linear(x, weight, y));

    public override void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate) =>
        Measure(() => base.LinearBackward(dy, weight, dx, accumulate));

    public override void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax) =>
        Measure(() => base.Quantize4Bit(x, code, codes, absMax));

    public override float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax)
    {
        var offset = 0f;
        Measure(() => offset = base.QuantizeAbsMax(absMax, codes, nestedAbsMax));
        return offset;
    }

    public override void Dequantize4Bit(QuantizedMatrix x, TensorView y) => Measure(() => base.Dequantize4Bit(x, y));

    public override void Add(TensorView x, TensorView y) => Measure(() => base.Add(x, y));

    public override void Convert(TensorView x, TensorView y, float scale = 1) =>
        Measure(() => base.Convert(x, y, scale));

    public override void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset,
        bool accumulate = false) =>
        Measure(() => base.Dropout(x, y, probability, key, stream, rowOffset, accumulate));

    public override void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale) =>
        Measure(() => base.CrossEntropy(logits, targets, losses, gradientScale));

    public override void AccumulateSum(TensorView values, double scale, TensorView total) =>
        Measure(() => base.AccumulateSum(values, scale, total));

    public override void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey,
        in AttentionShape shape, TensorView o, TensorView lse)
    {
        var copy = shape;
        Measure(() => base.Attention(q, k, v, cuQuery, cuKey, copy, o, lse));
    }

    public override void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        var copy = shape;
        Measure(() => base.AttentionBackward(dO, q, k, v, o, lse, cu, copy, delta, dq, dk, dv));
    }

    public override void GradientNorm(TensorView gradient, TensorView norm) =>
        Measure(() => base.GradientNorm(gradient, norm));

    public override void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm)
    {
        var copy = step;
        Measure(() => base.AdamW(parameters, state, copy, norm));
    }

    public override void RefreshCompute(ParameterSet parameters) => Measure(() => base.RefreshCompute(parameters));

    public override Transfer Offload(TensorView x, TensorView host)
    {
        var transfer = default(Transfer);
        Measure(() => transfer = base.Offload(x, host));
        return transfer;
    }

    public override Transfer Fetch(TensorView host, TensorView y)
    {
        var transfer = default(Transfer);
        Measure(() => transfer = base.Fetch(host, y));
        return transfer;
    }

    public override void Await(Transfer transfer) => Measure(() => base.Await(transfer));

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
