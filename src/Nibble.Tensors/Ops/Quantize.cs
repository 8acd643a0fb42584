namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Quantises a dense matrix to 4 bits, blocks of 64 over the row-major values, byte-equal to bitsandbytes'
    /// CUDA kernel. Per block: <c>absmax = max |x|</c>, <c>s = x · fl(1 / absmax)</c>, code by
    /// <see cref="CodeTables"/>. In an all-zero block s is 0 · ∞ = NaN, no comparison holds and every code is 0,
    /// as there. An odd count is completed with a 0 value.
    /// </summary>
    /// <param name="x">F32, BF16 or F16 [N, K], gapless.</param>
    /// <param name="code">NF4 or FP4.</param>
    /// <param name="codes">U8 [1, (N K + 1) / 2].</param>
    /// <param name="absMax">F32 [1, blocks].</param>
    void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax);

    /// <summary>
    /// Quantises scales to 8 bits: <c>offset = mean(absmax)</c> (F32), then <c>absmax - offset</c> in blocks of 256
    /// with the signed dynamic map. Waits for the offset.
    /// </summary>
    /// <param name="absMax">F32 [1, blocks].</param>
    /// <param name="codes">U8 [1, blocks].</param>
    /// <param name="nestedAbsMax">F32 [1, ceil(blocks / 256)].</param>
    /// <returns>The offset.</returns>
    float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax);

    /// <summary>Dequantises: <c>y = code value · scale</c> in F32, rounded once to
    /// <paramref name="y"/>'s type.</summary>
    /// <param name="x">N × K.</param>
    /// <param name="y">F32, BF16 (or F64 in the reference) [N, K], gapless.</param>
    void Dequantize4Bit(QuantizedMatrix x, TensorView y);
}
