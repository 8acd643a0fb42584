using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Models;

/// <summary>Cosines and sines of the rotary embedding for positions 0, 1, ….</summary>
public static class RopeTable
{
    /// <summary>Frequencies of a head, [D / 2], in F32 as transformers computes them.</summary>
    /// <param name="options">Base and scaling.</param>
    /// <param name="headDim">D.</param>
    public static float[] Frequencies(RopeOptions options, int headDim)
    {
        ArgumentNullException.ThrowIfNull(options);
        var frequencies = new float[headDim / 2];
        for (var j = 0; j < frequencies.Length; j++)
        {
            var exponent = (float)(2 * j) / headDim;
            var frequency = 1f / (float)Math.Pow(options.Theta, exponent);
            frequencies[j] = options.Llama3 is { } scaling ? Scale(frequency, scaling) : frequency;
        }

        return frequencies;
    }

    /// <summary>Fills a table on the backend.</summary>
    /// <param name="backend">Owner of <paramref name="table"/>.</param>
    /// <param name="options">Base and scaling.</param>
    /// <param name="table">F32 or F64 [positions, D]: cosines in the first half of a row, sines in the second.</param>
    public static void Fill(IBackend backend, RopeOptions options, TensorView table)
    {
        ArgumentNullException.ThrowIfNull(backend);
        var half = table.Cols / 2;
        var frequencies = Frequencies(options, table.Cols);
        var values = new double[table.Count];
        for (var position = 0; position < table.Rows; position++)
        {
            for (var j = 0; j < half; j++)
            {
                var angle = position * frequencies[j];
                values[(position * table.Cols) + j] = Math.Cos(angle);
                values[(position * table.Cols) + half + j] = Math.Sin(angle);
            }
        }

        if (table.DType == DType.F64)
        {
            backend.Upload(MemoryMarshal.AsBytes<double>(values), table);
        }
        else
        {
            Guard.Type(table, DType.F32);
            backend.Upload(MemoryMarshal.AsBytes<float>(Array.ConvertAll(values, v => (float)v)), table);
        }
    }

    private static float Scale(float frequency, Llama3RopeScaling scaling)
    {
        var wavelength = 2 * Math.PI / frequency;
        var original = scaling.OriginalPositions;
        if (wavelength < original / scaling.HighFrequencyFactor)
        {
            return frequency;
        }

        if (wavelength > original / scaling.LowFrequencyFactor)
        {
            return (float)(frequency / scaling.Factor);
        }

        var smooth = ((original / wavelength) - scaling.LowFrequencyFactor)
            / (scaling.HighFrequencyFactor - scaling.LowFrequencyFactor);
        return (float)(((1 - smooth) * frequency / scaling.Factor) + (smooth * frequency));
    }
}
