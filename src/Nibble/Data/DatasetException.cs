namespace Nibble.Data;

/// <summary>Rows, files or their options cannot become training data; the message says where and what to do.</summary>
public sealed class DatasetException : Exception
{
    /// <summary>Takes the whole message.</summary>
    /// <param name="message">What was expected, what was found, where, and what to do.</param>
    /// <param name="inner">Cause, or null.</param>
    public DatasetException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
