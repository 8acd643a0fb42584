using Nibble.Tensors;

namespace Nibble.Hosting.Benchmarks;

// Every op, timed. The compiler names an op that is missing here.
internal sealed partial class MeasuredBackend
{
    /// <inheritdoc/>
    public void GradientNorm(TensorView gradient, TensorView norm)
    {
        var started = Start();
        inner.GradientNorm(gradient, norm);
        Stop(nameof(GradientNorm), started);
    }

    /// <inheritdoc/>
    public void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm)
    {
        var started = Start();
        inner.AdamW(parameters, state, in step, norm);
        Stop(nameof(AdamW), started);
    }

    /// <inheritdoc/>
    public void RefreshCompute(ParameterSet parameters)
    {
        var started = Start();
        inner.RefreshCompute(parameters);
        Stop(nameof(RefreshCompute), started);
    }

    /// <inheritdoc/>
    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape,
        TensorView o, TensorView lse)
    {
        var started = Start();
        inner.Attention(q, k, v, cuQuery, cuKey, in shape, o, lse);
        Stop(nameof(Attention), started);
    }

    /// <inheritdoc/>
    public void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        var started = Start();
        inner.AttentionBackward(dO, q, k, v, o, lse, cu, in shape, delta, dq, dk, dv);
        Stop(nameof(AttentionBackward), started);
    }

    /// <inheritdoc/>
    public void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale)
    {
        var started = Start();
        inner.CrossEntropy(logits, targets, losses, gradientScale);
        Stop(nameof(CrossEntropy), started);
    }

    /// <inheritdoc/>
    public void AccumulateSum(TensorView values, double scale, TensorView total)
    {
        var started = Start();
        inner.AccumulateSum(values, scale, total);
        Stop(nameof(AccumulateSum), started);
    }

    /// <inheritdoc/>
    public void Add(TensorView x, TensorView y)
    {
        var started = Start();
        inner.Add(x, y);
        Stop(nameof(Add), started);
    }

    /// <inheritdoc/>
    public void Convert(TensorView x, TensorView y, float scale = 1)
    {
        var started = Start();
        inner.Convert(x, y, scale);
        Stop(nameof(Convert), started);
    }

    /// <inheritdoc/>
    public void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset,
        bool accumulate = false)
    {
        var started = Start();
        inner.Dropout(x, y, probability, key, stream, rowOffset, accumulate);
        Stop(nameof(Dropout), started);
    }

    /// <inheritdoc/>
    public void Embedding(TensorView ids, TensorView table, TensorView y)
    {
        var started = Start();
        inner.Embedding(ids, table, y);
        Stop(nameof(Embedding), started);
    }

    /// <inheritdoc/>
    public void Linear(TensorView x, FrozenLinear weight, TensorView y)
    {
        var started = Start();
        inner.Linear(x, weight, y);
        Stop(nameof(Linear), started);
    }

    /// <inheritdoc/>
    public void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate)
    {
        var started = Start();
        inner.LinearBackward(dy, weight, dx, accumulate);
        Stop(nameof(LinearBackward), started);
    }

    /// <inheritdoc/>
    public void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false)
    {
        var started = Start();
        inner.MatMul(a, transposeA, b, transposeB, c, alpha, accumulate);
        Stop(nameof(MatMul), started);
    }

    /// <inheritdoc/>
    public void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax)
    {
        var started = Start();
        inner.Quantize4Bit(x, code, codes, absMax);
        Stop(nameof(Quantize4Bit), started);
    }

    /// <inheritdoc/>
    public float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax)
    {
        var started = Start();
        var result = inner.QuantizeAbsMax(absMax, codes, nestedAbsMax);
        Stop(nameof(QuantizeAbsMax), started);
        return result;
    }

    /// <inheritdoc/>
    public void Dequantize4Bit(QuantizedMatrix x, TensorView y)
    {
        var started = Start();
        inner.Dequantize4Bit(x, y);
        Stop(nameof(Dequantize4Bit), started);
    }

    /// <inheritdoc/>
    public void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        var started = Start();
        inner.RmsNorm(x, weight, epsilon, y, rstd);
        Stop(nameof(RmsNorm), started);
    }

    /// <inheritdoc/>
    public void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y,
        TensorView rstd)
    {
        var started = Start();
        inner.AddRmsNorm(x, delta, sum, weight, epsilon, y, rstd);
        Stop(nameof(AddRmsNorm), started);
    }

    /// <inheritdoc/>
    public void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight)
    {
        var started = Start();
        inner.RmsNormBackward(dy, x, weight, rstd, dx, accumulate, dWeight);
        Stop(nameof(RmsNormBackward), started);
    }

    /// <inheritdoc/>
    public void Rope(TensorView x, TensorView positions, TensorView table, bool inverse)
    {
        var started = Start();
        inner.Rope(x, positions, table, inverse);
        Stop(nameof(Rope), started);
    }

    /// <inheritdoc/>
    public void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable)
    {
        var started = Start();
        inner.EmbeddingBackward(ids, dy, dTable);
        Stop(nameof(EmbeddingBackward), started);
    }

    /// <inheritdoc/>
    public void ColumnSum(TensorView x, TensorView y)
    {
        var started = Start();
        inner.ColumnSum(x, y);
        Stop(nameof(ColumnSum), started);
    }

    /// <inheritdoc/>
    public void GatherRows(TensorView x, TensorView index, TensorView y)
    {
        var started = Start();
        inner.GatherRows(x, index, y);
        Stop(nameof(GatherRows), started);
    }

    /// <inheritdoc/>
    public void ScatterRows(TensorView x, TensorView index, TensorView y)
    {
        var started = Start();
        inner.ScatterRows(x, index, y);
        Stop(nameof(ScatterRows), started);
    }

    /// <inheritdoc/>
    public void SwiGlu(TensorView gateUp, TensorView h)
    {
        var started = Start();
        inner.SwiGlu(gateUp, h);
        Stop(nameof(SwiGlu), started);
    }

    /// <inheritdoc/>
    public void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp)
    {
        var started = Start();
        inner.SwiGluBackward(dh, gateUp, dGateUp);
        Stop(nameof(SwiGluBackward), started);
    }
}
