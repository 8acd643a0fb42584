using System.Text.Json;
using Nibble.Tensors;

namespace Nibble.Models.Quantization;

// Tensors of a folder that bitsandbytes quantised. Source: bitsandbytes functional.py QuantState.as_dict.
public sealed partial class WeightLoader
{
    private QuantizedMatrix ReadQuantized(string name, QuantizedMatrix matrix)
    {
        var kind = matrix.Code == FourBitCode.Nf4 ? "nf4" : "fp4";
        var stateName = $"{name}.quant_state.bitsandbytes__{kind}";
        var (stateFile, stateEntry) = Find(stateName);
        using var state = ParseState(stateFile, stateEntry);
        var root = state.RootElement;
        RequireState(stateFile, stateName, root, "quant_type", kind);
        RequireState(stateFile, stateName, root, "blocksize", QuantizedMatrix.BlockSize.ToString());
        RequireState(stateFile, stateName, root, "shape", $"[{matrix.Rows},{matrix.Cols}]");

        Raw(name, matrix.Codes, null);
        RequireMap(name, matrix.Code);
        var offset = 0f;
        if (matrix.IsNested)
        {
            RequireState(stateFile, stateName, root, "nested_blocksize", QuantizedMatrix.NestedBlockSize.ToString());
            Raw($"{name}.absmax", matrix.AbsMax, DType.U8);
            Raw($"{name}.nested_absmax", matrix.NestedAbsMax, DType.F32);
            Raw($"{name}.nested_quant_map", matrix.NestedMap, DType.F32);
            offset = (float)root.GetProperty("nested_offset").GetDouble();
        }
        else
        {
            Raw($"{name}.absmax", matrix.AbsMax, DType.F32);
        }

        return matrix with { Offset = offset };
    }

    // The storage type of packed codes is free (quant_storage); their bytes are the same.
    private void Raw(string name, TensorView destination, DType? type)
    {
        var (file, entry) = Find(name);
        if (entry.ByteCount != destination.Bytes || (type is { } t && entry.DType != t))
        {
            throw new ModelFormatException(
                $"{file.Path}: tensor {name}: expected {destination.Bytes} bytes{(type is null ? "" : $" of {type}")}, "
                + $"found {entry.ByteCount} of {entry.Type.Name()}.");
        }

        var bytes = new byte[entry.ByteCount];
        file.Read(entry, 0, bytes);
        if (destination.DType == DType.F32)
        {
            FiniteScan.Require(bytes, DType.F32, file.Path, name, 0);
        }

        backend.Upload(bytes, destination);
        _bytesRead += bytes.Length;
        Progress?.Report(_bytesRead);
    }

    private void RequireMap(string name, FourBitCode code)
    {
        var (file, entry) = Find($"{name}.quant_map");
        var expected = CodeTables.Values(code);
        var found = file.ReadAll<float>(entry);
        if (found.Length != expected.Length || !found.AsSpan().SequenceEqual(expected))
        {
            throw new ModelFormatException(
                $"{file.Path}: tensor {entry.Name}: expected the {code} code table, found other values.");
        }
    }

    internal static JsonDocument ParseState(SafetensorsFile file, SafetensorsEntry entry)
    {
        try
        {
            return JsonDocument.Parse(file.ReadAll<byte>(entry));
        }
        catch (JsonException e)
        {
            throw new ModelFormatException(
                $"{file.Path}: tensor {entry.Name}: expected JSON, found something else: {e.Message}", e);
        }
    }

    internal static void RequireState(
        SafetensorsFile file, string name, JsonElement root, string field, string expected)
    {
        var found = root.TryGetProperty(field, out var e)
            ? e.ToString().Replace(" ", "", StringComparison.Ordinal)
            : "nothing";
        if (found != expected)
        {
            throw new ModelFormatException($"{file.Path}: tensor {name}: {field}: expected {expected}, found {found}.");
        }
    }
}
