namespace Nibble.Tensors;

/// <summary>A safetensors file, or an index of several, is not what its format or its reader expects.</summary>
public sealed class SafetensorsException : Exception
{
    /// <summary>Describes one mismatch.</summary>
    /// <param name="file">Path of the file.</param>
    /// <param name="tensor">Tensor concerned, or null when the file as a whole is.</param>
    /// <param name="expected">What the format or the caller asks for.</param>
    /// <param name="found">What is there.</param>
    /// <param name="inner">Lower-level cause, or null.</param>
    public SafetensorsException(
        string file, string? tensor, string expected, string found, Exception? inner = null)
        : base($"{file}: {Where(tensor)}expected {expected}, found {found}", inner) =>
        (File, Tensor, Expected, Found) = (file, tensor, expected, found);

    /// <summary>Path of the file.</summary>
    public string File { get; }

    /// <summary>Tensor concerned, or null when the file as a whole is.</summary>
    public string? Tensor { get; }

    /// <summary>What the format or the caller asks for.</summary>
    public string Expected { get; }

    /// <summary>What is there.</summary>
    public string Found { get; }

    // A damaged header can hold a name of megabytes.
    private static string Where(string? tensor) => tensor switch
    {
        null => "",
        { Length: > 200 } => $"tensor '{tensor[..200]}…': ",
        _ => $"tensor '{tensor}': ",
    };
}
