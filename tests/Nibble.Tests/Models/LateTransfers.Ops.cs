using Nibble.Tensors;

namespace Nibble.Tests.Models;

// Every op, passed on.
internal sealed partial class LateTransfers
{
    public void GradientNorm(TensorView gradient, TensorView norm) => inner.GradientNorm(gradient, norm);

    public void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm) =>
        inner.AdamW(parameters, state, in step, norm);

    public void RefreshCompute(ParameterSet parameters) => inner.RefreshCompute(parameters);

    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape,
        TensorView o, TensorView lse) =>
        inner.Attention(q, k, v, cuQuery, cuKey, in shape, o, lse);

    public void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv) =>
        inner.AttentionBackward(dO, q, k, v, o, lse, cu, in shape, delta, dq, dk, dv);

    public void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale) =>
        inner.CrossEntropy(logits, targets, losses, gradientScale);

    public void AccumulateSum(TensorView values, double scale, TensorView total) =>
        inner.AccumulateSum(values, scale, total);

    public void Add(TensorView x, TensorView y) => inner.Add(x, y);

    public void Convert(TensorView x, TensorView y, float scale = 1) => inner.Convert(x, y, scale);

    public void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset,
        bool accumulate = false) =>
        inner.Dropout(x, y, probability, key, stream, rowOffset, accumulate);

    public void Embedding(TensorView ids, TensorView table, TensorView y) => inner.Embedding(ids, table, y);

    public void Linear(TensorView x, FrozenLinear weight, TensorView y) => inner.Linear(x, weight, y);

    public void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate) =>
        inner.LinearBackward(dy, weight, dx, accumulate);

    public void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false) =>
        inner.MatMul(a, transposeA, b, transposeB, c, alpha, accumulate);

    public void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du) =>
        inner.LowRankBackward(dy, b, u, blocks, scale, du);

    public void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax) =>
        inner.Quantize4Bit(x, code, codes, absMax);

    public float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax) =>
        inner.QuantizeAbsMax(absMax, codes, nestedAbsMax);

    public void Dequantize4Bit(QuantizedMatrix x, TensorView y) => inner.Dequantize4Bit(x, y);

    public void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd) =>
        inner.RmsNorm(x, weight, epsilon, y, rstd);

    public void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y,
        TensorView rstd) =>
        inner.AddRmsNorm(x, delta, sum, weight, epsilon, y, rstd);

    public void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight) =>
        inner.RmsNormBackward(dy, x, weight, rstd, dx, accumulate, dWeight);

    public void Rope(TensorView x, TensorView positions, TensorView table, bool inverse) =>
        inner.Rope(x, positions, table, inverse);

    public void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable) =>
        inner.EmbeddingBackward(ids, dy, dTable);

    public void ColumnSum(TensorView x, TensorView y) => inner.ColumnSum(x, y);

    public void GatherRows(TensorView x, TensorView index, TensorView y) => inner.GatherRows(x, index, y);

    public void ScatterRows(TensorView x, TensorView index, TensorView y) => inner.ScatterRows(x, index, y);

    public void SwiGlu(TensorView gateUp, TensorView h) => inner.SwiGlu(gateUp, h);

    public void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp) =>
        inner.SwiGluBackward(dh, gateUp, dGateUp);
}
