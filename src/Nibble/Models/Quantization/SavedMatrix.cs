using Nibble.Tensors;

namespace Nibble.Models.Quantization;

/// <summary>
/// A matrix that bitsandbytes saved in 4 bits, dequantised on the host, a run of values at a time: <c>code value ·
/// scale</c> in F32, as <see cref="IBackend.Dequantize4Bit"/> computes it. Its codes and scales are in host memory.
/// Source: bitsandbytes functional.py QuantState.as_dict.
/// </summary>
internal sealed class SavedMatrix
{
    private static readonly string[] _stateSuffixes =
        [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"];

    private readonly byte[] _codes;
    private readonly float[] _scales;
    private readonly float[] _table;

    private SavedMatrix(byte[] codes, float[] scales, float[] table) =>
        (_codes, _scales, _table) = (codes, scales, table);

    /// <summary>Whether a folder holds a matrix in 4 bits.</summary>
    /// <param name="files">The folder's tensors.</param>
    /// <param name="name">Name of the weight.</param>
    public static bool IsSaved(SafetensorsIndex files, string name) => files.Contains($"{name}.absmax");

    /// <summary>Whether a tensor is part of how a matrix in 4 bits is saved, beside its codes.</summary>
    /// <param name="name">Any name of a model folder.</param>
    public static bool IsState(string name) =>
        _stateSuffixes.Any(s => name.EndsWith(s, StringComparison.Ordinal))
        || name.Contains(".quant_state.bitsandbytes__", StringComparison.Ordinal);

    /// <summary>Reads codes and scales.</summary>
    /// <param name="files">The folder's tensors.</param>
    /// <param name="name">Name of the weight.</param>
    /// <param name="quantization">What the folder's config says.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <exception cref="ModelFormatException">The tensors do not form such a matrix.</exception>
    public static SavedMatrix Read(
        SafetensorsIndex files, string name, SavedQuantization quantization, int rows, int cols)
    {
        var stateName = $"{name}.quant_state.bitsandbytes__{(quantization.Code == FourBitCode.Nf4 ? "nf4" : "fp4")}";
        var (stateFile, stateEntry) = files.Get(stateName);
        using var state = WeightLoader.ParseState(stateFile, stateEntry);
        var root = state.RootElement;
        WeightLoader.RequireState(stateFile, stateName, root, "blocksize", QuantizedMatrix.BlockSize.ToString());
        WeightLoader.RequireState(stateFile, stateName, root, "shape", $"[{rows},{cols}]");
        var count = (long)rows * cols;
        var table = Singles(files, $"{name}.quant_map", 16);
        var blocks = QuantizedMatrix.BlockCount(count);
        var codes = Bytes(files, name, (count + 1) / 2);
        if (!quantization.DoubleQuantization)
        {
            return new SavedMatrix(codes, Singles(files, $"{name}.absmax", blocks), table);
        }

        WeightLoader.RequireState(
            stateFile, stateName, root, "nested_blocksize", QuantizedMatrix.NestedBlockSize.ToString());
        var offset = (float)root.GetProperty("nested_offset").GetDouble();
        var map = Singles(files, $"{name}.nested_quant_map", 256);
        var nested = Singles(
            files, $"{name}.nested_absmax",
            (blocks + QuantizedMatrix.NestedBlockSize - 1) / QuantizedMatrix.NestedBlockSize);
        var scaleCodes = Bytes(files, $"{name}.absmax", blocks);
        var scales = new float[blocks];
        for (var b = 0; b < scales.Length; b++)
        {
            // Two statements, so that each operation is rounded to binary32.
            var product = map[scaleCodes[b]] * nested[b / QuantizedMatrix.NestedBlockSize];
            scales[b] = product + offset;
        }

        return new SavedMatrix(codes, scales, table);
    }

    /// <summary>Dequantises a run of values.</summary>
    /// <param name="first">Index of the first, row-major.</param>
    /// <param name="destination">Filled completely.</param>
    public void Read(long first, Span<float> destination)
    {
        for (var i = 0; i < destination.Length; i++)
        {
            var at = first + i;
            var pair = _codes[at >> 1];
            var code = (at & 1) == 0 ? pair >> 4 : pair & 15;
            destination[i] = _table[code] * _scales[at / QuantizedMatrix.BlockSize];
        }
    }

    private static float[] Singles(SafetensorsIndex files, string name, int count)
    {
        var values = files.ReadSingle(name);
        return values.Length == count ? values : throw Wrong(files, name, $"{count} values", $"{values.Length}");
    }

    // The storage type of packed codes is free (quant_storage); their bytes are the same.
    private static byte[] Bytes(SafetensorsIndex files, string name, long count)
    {
        var (file, entry) = files.Get(name);
        return entry.ByteCount == count
            ? file.ReadAll<byte>(entry)
            : throw Wrong(files, name, $"{count} bytes", $"{entry.ByteCount}");
    }

    private static ModelFormatException Wrong(SafetensorsIndex files, string name, string expected, string found) =>
        new($"{files.Get(name).File.Path}: tensor {name}: expected {expected}, found {found}.");
}
