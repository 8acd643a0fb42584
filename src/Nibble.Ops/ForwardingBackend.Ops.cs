using Nibble.Tensors;

namespace Nibble.Ops;

// Every op, passed on. The compiler names an op that is missing here.
public abstract partial class ForwardingBackend
{
    /// <inheritdoc/>
    public virtual void GradientNorm(TensorView gradient, TensorView norm)
    {
        using var _ = Watch();
        inner.GradientNorm(gradient, norm);
    }

    /// <inheritdoc/>
    public virtual void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm)
    {
        using var _ = Watch();
        inner.AdamW(parameters, state, in step, norm);
    }

    /// <inheritdoc/>
    public virtual void RefreshCompute(ParameterSet parameters)
    {
        using var _ = Watch();
        inner.RefreshCompute(parameters);
    }

    /// <inheritdoc/>
    public virtual void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape,
        TensorView o, TensorView lse)
    {
        using var _ = Watch();
        inner.Attention(q, k, v, cuQuery, cuKey, in shape, o, lse);
    }

    /// <inheritdoc/>
    public virtual void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        using var _ = Watch();
        inner.AttentionBackward(dO, q, k, v, o, lse, cu, in shape, delta, dq, dk, dv);
    }

    /// <inheritdoc/>
    public virtual void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale)
    {
        using var _ = Watch();
        inner.CrossEntropy(logits, targets, losses, gradientScale);
    }

    /// <inheritdoc/>
    public virtual void AccumulateSum(TensorView values, double scale, TensorView total)
    {
        using var _ = Watch();
        inner.AccumulateSum(values, scale, total);
    }

    /// <inheritdoc/>
    public virtual void Add(TensorView x, TensorView y)
    {
        using var _ = Watch();
        inner.Add(x, y);
    }

    /// <inheritdoc/>
    public virtual void Convert(TensorView x, TensorView y, float scale = 1)
    {
        using var _ = Watch();
        inner.Convert(x, y, scale);
    }

    /// <inheritdoc/>
    public virtual void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset,
        bool accumulate = false)
    {
        using var _ = Watch();
        inner.Dropout(x, y, probability, key, stream, rowOffset, accumulate);
    }

    /// <inheritdoc/>
    public virtual void Embedding(TensorView ids, TensorView table, TensorView y)
    {
        using var _ = Watch();
        inner.Embedding(ids, table, y);
    }

    /// <inheritdoc/>
    public virtual void Linear(TensorView x, FrozenLinear weight, TensorView y)
    {
        using var _ = Watch();
        inner.Linear(x, weight, y);
    }

    /// <inheritdoc/>
    public virtual void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate)
    {
        using var _ = Watch();
        inner.LinearBackward(dy, weight, dx, accumulate);
    }

    /// <inheritdoc/>
    public virtual void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false)
    {
        using var _ = Watch();
        inner.MatMul(a, transposeA, b, transposeB, c, alpha, accumulate);
    }

    /// <inheritdoc/>
    public virtual void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du)
    {
        using var _ = Watch();
        inner.LowRankBackward(dy, b, u, blocks, scale, du);
    }

    /// <inheritdoc/>
    public virtual void LinearLowRank(TensorView x, FrozenLinear weight, TensorView u, TensorView b, TensorView y)
    {
        using var _ = Watch();
        inner.LinearLowRank(x, weight, u, b, y);
    }

    /// <inheritdoc/>
    public virtual void LinearLowRankBackward(
        TensorView dy, FrozenLinear weight, TensorView du, TensorView a, TensorView dx)
    {
        using var _ = Watch();
        inner.LinearLowRankBackward(dy, weight, du, a, dx);
    }

    /// <inheritdoc/>
    public virtual void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax)
    {
        using var _ = Watch();
        inner.Quantize4Bit(x, code, codes, absMax);
    }

    /// <inheritdoc/>
    public virtual float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax)
    {
        using var _ = Watch();
        return inner.QuantizeAbsMax(absMax, codes, nestedAbsMax);
    }

    /// <inheritdoc/>
    public virtual void Dequantize4Bit(QuantizedMatrix x, TensorView y)
    {
        using var _ = Watch();
        inner.Dequantize4Bit(x, y);
    }

    /// <inheritdoc/>
    public virtual void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        using var _ = Watch();
        inner.RmsNorm(x, weight, epsilon, y, rstd);
    }

    /// <inheritdoc/>
    public virtual void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y,
        TensorView rstd)
    {
        using var _ = Watch();
        inner.AddRmsNorm(x, delta, sum, weight, epsilon, y, rstd);
    }

    /// <inheritdoc/>
    public virtual void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight)
    {
        using var _ = Watch();
        inner.RmsNormBackward(dy, x, weight, rstd, dx, accumulate, dWeight);
    }

    /// <inheritdoc/>
    public virtual void Rope(TensorView x, TensorView positions, TensorView table, bool inverse)
    {
        using var _ = Watch();
        inner.Rope(x, positions, table, inverse);
    }

    /// <inheritdoc/>
    public virtual void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable)
    {
        using var _ = Watch();
        inner.EmbeddingBackward(ids, dy, dTable);
    }

    /// <inheritdoc/>
    public virtual void ColumnSum(TensorView x, TensorView y)
    {
        using var _ = Watch();
        inner.ColumnSum(x, y);
    }

    /// <inheritdoc/>
    public virtual void GatherRows(TensorView x, TensorView index, TensorView y)
    {
        using var _ = Watch();
        inner.GatherRows(x, index, y);
    }

    /// <inheritdoc/>
    public virtual void ScatterRows(TensorView x, TensorView index, TensorView y)
    {
        using var _ = Watch();
        inner.ScatterRows(x, index, y);
    }

    /// <inheritdoc/>
    public virtual Transfer Offload(TensorView x, TensorView host)
    {
        using var _ = Watch();
        return inner.Offload(x, host);
    }

    /// <inheritdoc/>
    public virtual Transfer Fetch(TensorView host, TensorView y)
    {
        using var _ = Watch();
        return inner.Fetch(host, y);
    }

    /// <inheritdoc/>
    public virtual void Await(Transfer transfer)
    {
        using var _ = Watch();
        inner.Await(transfer);
    }

    /// <inheritdoc/>
    public virtual void SwiGlu(TensorView gateUp, TensorView h)
    {
        using var _ = Watch();
        inner.SwiGlu(gateUp, h);
    }

    /// <inheritdoc/>
    public virtual void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp, TensorView h)
    {
        using var _ = Watch();
        inner.SwiGluBackward(dh, gateUp, dGateUp, h);
    }
}
