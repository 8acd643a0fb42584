using System.Numerics;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>
/// Adds a LoRA module to its weight: <c>W'[o, i] = fl32(W[o, i] + s · Σ_r B[o, r] A[r, i])</c>, the sum over r in
/// ascending order in binary64. A product of two binary32 numbers is exact there, so that the result has the same bits
/// whatever the instruction set and the number of threads. Source: huggingface/peft
/// <c>src/peft/tuners/lora/layer.py</c>, <c>get_delta_weight</c>.
/// </summary>
/// <param name="module">A [r, in] and B [out, r].</param>
/// <param name="scaling">s, that is α/r or α/√r.</param>
/// <param name="limit">Largest magnitude that the type written can hold.</param>
/// <param name="options">Threads and cancellation.</param>
internal sealed class LowRankSum(LoraModule module, double scaling, float limit, ParallelOptions options)
{
    // Sums that stay in the first cache while the factors stream past.
    private const int Columns = 512;

    /// <summary>Largest magnitude that rounds to a finite value.</summary>
    /// <param name="type">F32, BF16 or F16.</param>
    public static float Limit(SafetensorsType type) => type switch
    {
        // Half a step above the largest value, exclusive: it would round to infinity.
        SafetensorsType.BF16 => BitConverter.UInt32BitsToSingle(0x7F7F7FFF),
        SafetensorsType.F16 => MathF.BitDecrement(65520),
        _ => float.MaxValue,
    };

    /// <summary>Adds to a run of the weight.</summary>
    /// <param name="values">Row-major values of W, replaced by those of W'.</param>
    /// <param name="first">Index of the first.</param>
    /// <exception cref="CheckpointException">A sum is not finite in the type written.</exception>
    public void Add(Memory<float> values, long first)
    {
        var (cols, last, tooLarge) = (module.A.Cols, first + values.Length, long.MaxValue);
        var (firstRow, lastRow) = ((int)(first / cols), (int)((last + cols - 1) / cols));
        var found = new Lock();
        Parallel.For(firstRow, lastRow, options, row =>
        {
            var start = Math.Max(first, (long)row * cols);
            var end = Math.Min(last, ((long)row + 1) * cols);
            for (var at = start; at < end; at += Columns)
            {
                var count = (int)Math.Min(Columns, end - at);
                var bad = AddRow(row, (int)(at - ((long)row * cols)), values.Span.Slice((int)(at - first), count));
                if (bad >= 0)
                {
                    lock (found)
                    {
                        tooLarge = Math.Min(tooLarge, at + bad);
                    }
                }
            }
        });
        if (tooLarge != long.MaxValue)
        {
            throw new CheckpointException(
                $"{module.Path}.weight", $"values of magnitude up to {limit}, which the base's type holds",
                $"{values.Span[(int)(tooLarge - first)]} at [{tooLarge / cols}, {tooLarge % cols}] with the adapter "
                + "added");
        }
    }

    // Where the first sum stands that the type cannot hold, or -1.
    private int AddRow(int row, int column, Span<float> values)
    {
        Span<double> sums = stackalloc double[Columns];
        sums = sums[..values.Length];
        sums.Clear();
        var cols = module.A.Cols;
        var a = module.A.Data.Span;
        var b = module.B.Data.Span.Slice(row * module.B.Cols, module.B.Cols);
        for (var r = 0; r < module.A.Rows; r++)
        {
            AddMultiple(b[r], a.Slice((r * cols) + column, values.Length), sums);
        }

        var bad = -1;
        for (var i = values.Length - 1; i >= 0; i--)
        {
            values[i] = (float)(values[i] + (scaling * sums[i]));
            bad = MathF.Abs(values[i]) <= limit ? bad : i;
        }

        return bad;
    }

    private static void AddMultiple(double factor, ReadOnlySpan<float> x, Span<double> sums)
    {
        var i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector.Widen(new Vector<float>(x[i..]), out var low, out var high);
            var left = sums[i..];
            var right = sums[(i + Vector<double>.Count)..];
            (new Vector<double>(left) + (low * factor)).CopyTo(left);
            (new Vector<double>(right) + (high * factor)).CopyTo(right);
        }

        for (; i < x.Length; i++)
        {
            sums[i] += factor * x[i];
        }
    }
}
