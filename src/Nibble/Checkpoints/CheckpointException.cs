namespace Nibble.Checkpoints;

/// <summary>A checkpoint, or a file of one, is not what it should be, or could not be written.</summary>
public sealed class CheckpointException : Exception
{
    /// <summary>Describes one mismatch.</summary>
    /// <param name="path">File or folder concerned.</param>
    /// <param name="expected">What should be there.</param>
    /// <param name="found">What is there.</param>
    /// <param name="inner">Lower-level cause, or null.</param>
    public CheckpointException(string path, string expected, string found, Exception? inner = null)
        : base($"{path}: expected {expected}, found {found}", inner) => Path = path;

    /// <summary>Describes a failure in one sentence.</summary>
    /// <param name="path">File or folder concerned.</param>
    /// <param name="message">The whole message.</param>
    /// <param name="inner">Lower-level cause, or null.</param>
    internal CheckpointException(string path, string message, Exception? inner)
        : base(message, inner) => Path = path;

    /// <summary>File or folder concerned.</summary>
    public string Path { get; }
}
