using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Nibble.Cpu.Gemm;
using Nibble.Tensors;

namespace Nibble.Cpu;

internal abstract unsafe partial class RowKernels
{
    /// <summary>Dequantises a run of values: code value · scale, one rounding.</summary>
    /// <param name="matrix">Where from.</param>
    /// <param name="first">Index of the first value in row-major order.</param>
    /// <param name="count">How many.</param>
    /// <param name="destination">Floats.</param>
    public abstract void FourBit(in FourBitRows matrix, long first, int count, float* destination);

    /// <summary>Widens bfloat16 values.</summary>
    /// <param name="source">Values.</param>
    /// <param name="count">How many.</param>
    /// <param name="destination">Floats.</param>
    public abstract void WidenBf16(ushort* source, int count, float* destination);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void FourBit(in FourBitRows matrix, long first, int count, float* destination)
    {
        var i = first;
        var end = first + count;
        var d = destination;
        while (i < end)
        {
            var block = i / QuantizedMatrix.BlockSize;
            var scale = matrix.Scale(block);
            var n = (int)(Math.Min(end, (block + 1) * QuantizedMatrix.BlockSize) - i);
            i += n;
            var p = matrix.Codes + (i - n) / 2;
            if (((i - n) & 1) != 0)
            {
                *d++ = matrix.Table[*p++ & 15] * scale;
                n--;
            }

            if (typeof(TVector) == typeof(Vector512<float>))
            {
                // 8 bytes → 16 lanes: every byte doubled, widened, the even lane shifted to its high nibble; the
                // permute reads the low four bits of a lane.
                var table = Vector512.Load(matrix.Table);
                var shifts = Vector512.Create(4u, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0);
                var scales = Vector512.Create(scale);
                for (; n >= 16; n -= 16, p += 8, d += 16)
                {
                    var bytes = Vector128.CreateScalarUnsafe(*(ulong*)p).AsByte();
                    var lanes = Avx512F.ConvertToVector512UInt32(Sse2.UnpackLow(bytes, bytes));
                    lanes = Avx512F.ShiftRightLogicalVariable(lanes, shifts);
                    (Avx512F.PermuteVar16x32(table, lanes.AsInt32()) * scales).Store(d);
                }
            }
            else if (typeof(TVector) != typeof(float))
            {
                var scales = Vector128.Create(scale);
                for (; n >= 4; n -= 4, p += 2, d += 4)
                {
                    var pairs = Vector128.Create(((double*)matrix.Pairs)[p[0]], ((double*)matrix.Pairs)[p[1]]);
                    (pairs.AsSingle() * scales).Store(d);
                }
            }

            for (; n >= 2; n -= 2, p++, d += 2)
            {
                d[0] = matrix.Pairs[2 * *p] * scale;
                d[1] = matrix.Pairs[2 * *p + 1] * scale;
            }

            if (n > 0)
            {
                *d++ = matrix.Pairs[2 * *p] * scale;
            }
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void WidenBf16(ushort* source, int count, float* destination)
    {
        var i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.LoadBf16(source + i), destination + i);
        }

        for (; i < count; i++)
        {
            destination[i] = Bf16.ToSingle(source[i]);
        }
    }
}
