using System.Runtime.Intrinsics;
using Nibble.Tensors;

namespace Nibble.Cpu.Simd;

/// <summary>One lane: the same kernels without vectors.</summary>
internal readonly unsafe struct LanesScalar : ILanes<float>
{
    /// <inheritdoc/>
    public static int Count => 1;

    /// <inheritdoc/>
    public static float Create(float value) => value;

    /// <inheritdoc/>
    public static float Load(float* source) => *source;

    /// <inheritdoc/>
    public static float LoadBf16(ushort* source) => Bf16.ToSingle(*source);

    /// <inheritdoc/>
    public static void Store(float value, float* destination) => *destination = value;

    /// <inheritdoc/>
    public static float Add(float a, float b) => a + b;

    /// <inheritdoc/>
    public static float Subtract(float a, float b) => a - b;

    /// <inheritdoc/>
    public static float Multiply(float a, float b) => a * b;

    /// <inheritdoc/>
    public static float Divide(float a, float b) => a / b;

    /// <inheritdoc/>
    public static float Fma(float a, float b, float c) => a * b + c;

    /// <inheritdoc/>
    public static float Max(float a, float b) => a > b ? a : b;

    /// <inheritdoc/>
    public static float Min(float a, float b) => a < b ? a : b;

    /// <inheritdoc/>
    public static float Sqrt(float a) => MathF.Sqrt(a);

    /// <inheritdoc/>
    public static float ScaleExponent(float value, float shifted) => BitConverter.Int32BitsToSingle(
        BitConverter.SingleToInt32Bits(value) + (BitConverter.SingleToInt32Bits(shifted) << 23));

    /// <inheritdoc/>
    public static float ZeroWhereLess(float a, float b, float value) => a < b ? 0 : value;

    /// <inheritdoc/>
    public static float WhereFinite(float test, float finite, float other) => float.IsFinite(test) ? finite : other;

    /// <inheritdoc/>
    public static float Sum(float a) => a;

    /// <inheritdoc/>
    public static Vector128<float> Sum(float a, float b, float c, float d) => Vector128.Create(a, b, c, d);

    /// <inheritdoc/>
    public static float Max(float a) => a;
}
