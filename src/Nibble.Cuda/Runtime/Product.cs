using System.Numerics;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary><c>c (+)= α · op(a) · op(b) + bias</c> over row-major views.</summary>
/// <param name="A">[M, K], or [K, M] when transposed.</param>
/// <param name="TransposeA">Read <paramref name="A"/> transposed.</param>
/// <param name="B">[K, N], or [N, K] when transposed.</param>
/// <param name="TransposeB">Read <paramref name="B"/> transposed.</param>
/// <param name="C">[M, N].</param>
/// <param name="Bias">[1, N] of the type of <paramref name="C"/>, or none.</param>
/// <param name="Alpha">α.</param>
/// <param name="Accumulate">Add to <paramref name="C"/>.</param>
internal readonly record struct Product(
    TensorView A, bool TransposeA, TensorView B, bool TransposeB, TensorView C, TensorView Bias, float Alpha,
    bool Accumulate)
{
    /// <summary>K.</summary>
    internal int Depth => TransposeA ? A.Rows : A.Cols;

    /// <summary>Multiply-adds.</summary>
    internal double Work => (double)C.Rows * C.Cols * Depth;

    /// <summary>The class of shapes that share one choice of kernel.</summary>
    internal ProductClass Class => new(
        A.DType, C.DType, TransposeA, TransposeB, !Bias.IsNone, Bucket(C.Rows), Bucket(C.Cols), Bucket(Depth),
        AlignmentOf(A), AlignmentOf(B), AlignmentOf(C));

    // Eight classes to an octave: token counts differ from step to step, and each class is timed once.
    private static int Bucket(int extent)
    {
        if (extent <= 16)
        {
            return extent;
        }

        var step = 1L << Math.Max(BitOperations.Log2((uint)extent - 1) - 3, 1);
        return (int)Math.Min((extent + step - 1) / step * step, int.MaxValue);
    }

    // 16 bytes is what kernels ask for at most; rows must keep what the first element has.
    private static byte AlignmentOf(TensorView view)
    {
        var bits = (ulong)view.Address | 16;
        bits |= view.Rows > 1 ? (ulong)((long)view.Stride * view.DType.Size()) : 0;
        return (byte)(1 << BitOperations.TrailingZeroCount(bits));
    }
}

/// <summary>What the choice of a product kernel may depend on; extents are upper ends of buckets.</summary>
internal readonly record struct ProductClass(
    DType Input,
    DType Output,
    bool TransposeA,
    bool TransposeB,
    bool Bias,
    int Rows,
    int Cols,
    int Depth,
    byte AlignmentA,
    byte AlignmentB,
    byte AlignmentC)
{
    /// <summary>The same as text without spaces, for files.</summary>
    public override string ToString() =>
        $"{Input}-{Output}-{(TransposeA ? 't' : 'n')}{(TransposeB ? 't' : 'n')}{(Bias ? 'b' : '-')}-"
        + $"{Rows}-{Cols}-{Depth}-{AlignmentA}-{AlignmentB}-{AlignmentC}";
}
