using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Cpu.Gemm;

/// <summary>A <see cref="QuantizedMatrix"/> as raw addresses.</summary>
internal readonly unsafe struct FourBitRows
{
    // Per code table: 16 values, then the pair of values of each byte.
    private static readonly float*[] Tables = [MakeTable(FourBitCode.Nf4), MakeTable(FourBitCode.Fp4)];

    private readonly float* _absMax;
    private readonly byte* _absMaxCodes;
    private readonly float* _nested;
    private readonly float* _map;
    private readonly float _offset;

    /// <summary>Takes the addresses.</summary>
    /// <param name="matrix">Codes and scales in this process's memory.</param>
    public FourBitRows(QuantizedMatrix matrix)
    {
        Codes = (byte*)matrix.Codes.Address;
        Table = Tables[(int)matrix.Code];
        Cols = matrix.Cols;
        if (matrix.IsNested)
        {
            _absMaxCodes = (byte*)matrix.AbsMax.Address;
            _nested = (float*)matrix.NestedAbsMax.Address;
            _map = (float*)matrix.NestedMap.Address;
            _offset = matrix.Offset;
        }
        else
        {
            _absMax = (float*)matrix.AbsMax.Address;
        }
    }

    /// <summary>Two codes a byte, first in the high nibble.</summary>
    public byte* Codes { get; }

    /// <summary>The 16 values of the code.</summary>
    public float* Table { get; }

    /// <summary>For each byte, the values of its high and low nibble.</summary>
    public float* Pairs => Table + 16;

    /// <summary>K.</summary>
    public int Cols { get; }

    /// <summary>The scale of a block; nested: product and sum are rounded apart.</summary>
    /// <param name="block">Index of 64 values.</param>
    public float Scale(long block)
    {
        if (_absMax != null)
        {
            return _absMax[block];
        }

        var product = _map[_absMaxCodes[block]] * _nested[block / QuantizedMatrix.NestedBlockSize];
        return product + _offset;
    }

    private static float* MakeTable(FourBitCode code)
    {
        var values = CodeTables.Values(code);
        var table = (float*)NativeMemory.AlignedAlloc((16 + 512) * sizeof(float), 64);
        for (var i = 0; i < 16; i++)
        {
            table[i] = values[i];
        }

        for (var i = 0; i < 256; i++)
        {
            table[16 + 2 * i] = table[i >> 4];
            table[16 + 2 * i + 1] = table[i & 15];
        }

        return table;
    }
}
