namespace Nibble.Tensors;

/// <summary>
/// Element type in a safetensors file, in the order of the reference implementation's enumeration, which its writer
/// sorts by.
/// </summary>
public enum SafetensorsType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>4-bit floating point.</summary>
    F4,

    /// <summary>6-bit floating point, 2 exponent bits.</summary>
    F6E2M3,

    /// <summary>6-bit floating point, 3 exponent bits.</summary>
    F6E3M2,

    /// <summary>Byte.</summary>
    U8,

    /// <summary>Signed byte.</summary>
    I8,

    /// <summary>8-bit floating point, 5 exponent bits.</summary>
    F8E5M2,

    /// <summary>8-bit floating point, 4 exponent bits.</summary>
    F8E4M3,

    /// <summary>8-bit power of two.</summary>
    F8E8M0,

    /// <summary>8-bit floating point, 4 exponent bits, no negative zero.</summary>
    F8E4M3Fnuz,

    /// <summary>8-bit floating point, 5 exponent bits, no negative zero.</summary>
    F8E5M2Fnuz,

    /// <summary>Signed 16-bit integer.</summary>
    I16,

    /// <summary>Unsigned 16-bit integer.</summary>
    U16,

    /// <summary>IEEE 754 binary16.</summary>
    F16,

    /// <summary>bfloat16.</summary>
    BF16,

    /// <summary>Signed 32-bit integer.</summary>
    I32,

    /// <summary>Unsigned 32-bit integer.</summary>
    U32,

    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>Two binary32: real and imaginary part.</summary>
    C64,

    /// <summary>IEEE 754 binary64.</summary>
    F64,

    /// <summary>Signed 64-bit integer.</summary>
    I64,

    /// <summary>Unsigned 64-bit integer.</summary>
    U64,
}

/// <summary>Facts about <see cref="SafetensorsType"/>.</summary>
public static class SafetensorsTypes
{
    private static readonly string[] _names =
    [
        "BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
        "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64",
    ];

    /// <summary>Every name, in the order of <see cref="SafetensorsType"/>.</summary>
    public static IReadOnlyList<string> Names => _names;

    /// <summary>The name used in files, e.g. <c>BF16</c>.</summary>
    /// <param name="type">Element type.</param>
    public static string Name(this SafetensorsType type) => _names[(int)type];

    /// <summary>Finds a type by the name used in files.</summary>
    /// <param name="name">Case-sensitive name.</param>
    /// <param name="type">The type when found.</param>
    public static bool TryParse(string name, out SafetensorsType type)
    {
        var index = Array.IndexOf(_names, name);
        type = index < 0 ? default : (SafetensorsType)index;
        return index >= 0;
    }

    /// <summary>Bits of one element.</summary>
    /// <param name="type">Element type.</param>
    public static int Bits(this SafetensorsType type) => type switch
    {
        SafetensorsType.F4 => 4,
        SafetensorsType.F6E2M3 or SafetensorsType.F6E3M2 => 6,
        SafetensorsType.Bool or (>= SafetensorsType.U8 and <= SafetensorsType.F8E5M2Fnuz) => 8,
        >= SafetensorsType.I16 and <= SafetensorsType.BF16 => 16,
        >= SafetensorsType.I32 and <= SafetensorsType.F32 => 32,
        >= SafetensorsType.C64 and <= SafetensorsType.U64 => 64,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type"),
    };

    /// <summary>The type in memory, or null when Nibble holds no such tensors.</summary>
    /// <param name="type">Element type of a file.</param>
    public static DType? ToDType(this SafetensorsType type) => type switch
    {
        SafetensorsType.F64 => DType.F64,
        SafetensorsType.F32 => DType.F32,
        SafetensorsType.BF16 => DType.BF16,
        SafetensorsType.F16 => DType.F16,
        SafetensorsType.I32 => DType.I32,
        SafetensorsType.U8 => DType.U8,
        _ => null,
    };

    /// <summary>The file's type of tensors in memory.</summary>
    /// <param name="type">Element type in memory.</param>
    public static SafetensorsType ToSafetensors(this DType type) => type switch
    {
        DType.F64 => SafetensorsType.F64,
        DType.F32 => SafetensorsType.F32,
        DType.BF16 => SafetensorsType.BF16,
        DType.F16 => SafetensorsType.F16,
        DType.I32 => SafetensorsType.I32,
        DType.U8 => SafetensorsType.U8,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type"),
    };
}

/// <summary>One tensor of a safetensors file.</summary>
/// <param name="Name">Unique name.</param>
/// <param name="Type">Element type in the file.</param>
/// <param name="Shape">Dimensions, row-major; empty for a scalar, may contain 0.</param>
/// <param name="Offset">First byte, counted from the start of the file.</param>
/// <param name="ByteCount">Bytes of data.</param>
public sealed record SafetensorsEntry(string Name, SafetensorsType Type, long[] Shape, long Offset, long ByteCount)
{
    /// <summary>The type in memory, or null when Nibble holds no such tensors.</summary>
    public DType? DType => Type.ToDType();

    /// <summary>Elements: the product of the shape.</summary>
    public long Count
    {
        get
        {
            var count = 1L;
            foreach (var dimension in Shape)
            {
                count *= dimension;
            }

            return count;
        }
    }

    /// <summary>Name, type and shape, for messages.</summary>
    public override string ToString() => $"{Name} {Type.Name()} [{string.Join(", ", Shape)}]";
}
