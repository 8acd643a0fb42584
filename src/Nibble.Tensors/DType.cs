namespace Nibble.Tensors;

/// <summary>Element type of a tensor in memory.</summary>
public enum DType : byte
{
    /// <summary>IEEE 754 binary64; only the reference backend computes in it.</summary>
    F64,

    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,

    /// <summary>IEEE 754 binary16; read from files, never computed in.</summary>
    F16,

    /// <summary>Signed 32-bit integer: ids, positions, boundaries.</summary>
    I32,

    /// <summary>Byte: 4-bit codes two by two, 8-bit codes.</summary>
    U8,
}

/// <summary>Facts about <see cref="DType"/>.</summary>
public static class DTypes
{
    /// <summary>Bytes of one element.</summary>
    /// <param name="type">Element type.</param>
    public static int Size(this DType type) => type switch
    {
        DType.F64 => 8,
        DType.F32 or DType.I32 => 4,
        DType.BF16 or DType.F16 => 2,
        DType.U8 => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type"),
    };
}
