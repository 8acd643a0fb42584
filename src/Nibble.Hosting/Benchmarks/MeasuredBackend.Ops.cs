using Nibble.Tensors;

namespace Nibble.Hosting.Benchmarks;

// Every op, timed. The compiler names an op that is missing here.
internal sealed partial class MeasuredBackend
{
    /// <inheritdoc/>
    public void GradientNorm(TensorView gradient, TensorView norm)
    {
        using var _ = Measure();
        inner.GradientNorm(gradient, norm);
    }

    /// <inheritdoc/>
    public void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm)
    {
        using var _ = Measure();
        inner.AdamW(parameters, state, in step, norm);
    }

    /// <inheritdoc/>
    public void RefreshCompute(ParameterSet parameters)
    {
        using var _ = Measure();
        inner.RefreshCompute(parameters);
    }

    /// <inheritdoc/>
    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape,
        TensorView o, TensorView lse)
    {
        using var _ = Measure();
        inner.Attention(q, k, v, cuQuery, cuKey, in shape, o, lse);
    }

    /// <inheritdoc/>
    public void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        using var _ = Measure();
        inner.AttentionBackward(dO, q, k, v, o, lse, cu, in shape, delta, dq, dk, dv);
    }

    /// <inheritdoc/>
    public void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale)
    {
        using var _ = Measure();
        inner.CrossEntropy(logits, targets, losses, gradientScale);
    }

    /// <inheritdoc/>
    public void AccumulateSum(TensorView values, double scale, TensorView total)
    {
        using var _ = Measure();
        inner.AccumulateSum(values, scale, total);
    }

    /// <inheritdoc/>
    public void Add(TensorView x, TensorView y)
    {
        using var _ = Measure();
        inner.Add(x, y);
    }

    /// <inheritdoc/>
    public void Convert(TensorView x, TensorView y, float scale = 1)
    {
        using var _ = Measure();
        inner.Convert(x, y, scale);
    }

    /// <inheritdoc/>
    public void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset,
        bool accumulate = false)
    {
        using var _ = Measure();
        inner.Dropout(x, y, probability, key, stream, rowOffset, accumulate);
    }

    /// <inheritdoc/>
    public void Embedding(TensorView ids, TensorView table, TensorView y)
    {
        using var _ = Measure();
        inner.Embedding(ids, table, y);
    }

    /// <inheritdoc/>
    public void Linear(TensorView x, FrozenLinear weight, TensorView y)
    {
        using var _ = Measure();
        inner.Linear(x, weight, y);
    }

    /// <inheritdoc/>
    public void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate)
    {
        using var _ = Measure();
        inner.LinearBackward(dy, weight, dx, accumulate);
    }

    /// <inheritdoc/>
    public void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false)
    {
        using var _ = Measure();
        inner.MatMul(a, transposeA, b, transposeB, c, alpha, accumulate);
    }

    /// <inheritdoc/>
    public void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du)
    {
        using var _ = Measure();
        inner.LowRankBackward(dy, b, u, blocks, scale, du);
    }

    /// <inheritdoc/>
    public void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax)
    {
        using var _ = Measure();
        inner.Quantize4Bit(x, code, codes, absMax);
    }

    /// <inheritdoc/>
    public float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax)
    {
        using var _ = Measure();
        var result = inner.QuantizeAbsMax(absMax, codes, nestedAbsMax);
        return result;
    }

    /// <inheritdoc/>
    public void Dequantize4Bit(QuantizedMatrix x, TensorView y)
    {
        using var _ = Measure();
        inner.Dequantize4Bit(x, y);
    }

    /// <inheritdoc/>
    public void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        using var _ = Measure();
        inner.RmsNorm(x, weight, epsilon, y, rstd);
    }

    /// <inheritdoc/>
    public void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y,
        TensorView rstd)
    {
        using var _ = Measure();
        inner.AddRmsNorm(x, delta, sum, weight, epsilon, y, rstd);
    }

    /// <inheritdoc/>
    public void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight)
    {
        using var _ = Measure();
        inner.RmsNormBackward(dy, x, weight, rstd, dx, accumulate, dWeight);
    }

    /// <inheritdoc/>
    public void Rope(TensorView x, TensorView positions, TensorView table, bool inverse)
    {
        using var _ = Measure();
        inner.Rope(x, positions, table, inverse);
    }

    /// <inheritdoc/>
    public void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable)
    {
        using var _ = Measure();
        inner.EmbeddingBackward(ids, dy, dTable);
    }

    /// <inheritdoc/>
    public void ColumnSum(TensorView x, TensorView y)
    {
        using var _ = Measure();
        inner.ColumnSum(x, y);
    }

    /// <inheritdoc/>
    public void GatherRows(TensorView x, TensorView index, TensorView y)
    {
        using var _ = Measure();
        inner.GatherRows(x, index, y);
    }

    /// <inheritdoc/>
    public void ScatterRows(TensorView x, TensorView index, TensorView y)
    {
        using var _ = Measure();
        inner.ScatterRows(x, index, y);
    }

    /// <inheritdoc/>
    public Transfer Offload(TensorView x, TensorView host)
    {
        using var _ = Measure();
        return inner.Offload(x, host);
    }

    /// <inheritdoc/>
    public Transfer Fetch(TensorView host, TensorView y)
    {
        using var _ = Measure();
        return inner.Fetch(host, y);
    }

    /// <inheritdoc/>
    public void Await(Transfer transfer)
    {
        using var _ = Measure();
        inner.Await(transfer);
    }

    /// <inheritdoc/>
    public void SwiGlu(TensorView gateUp, TensorView h)
    {
        using var _ = Measure();
        inner.SwiGlu(gateUp, h);
    }

    /// <inheritdoc/>
    public void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp)
    {
        using var _ = Measure();
        inner.SwiGluBackward(dh, gateUp, dGateUp);
    }
}
