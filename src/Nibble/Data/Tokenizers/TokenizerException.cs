namespace Nibble.Data.Tokenizers;

/// <summary>A tokenizer's files are missing, malformed or use a component this library does not have.</summary>
public sealed class TokenizerException : Exception
{
    /// <summary>Takes the whole message.</summary>
    /// <param name="message">File, key, what was expected and what was found.</param>
    /// <param name="inner">Cause, or null.</param>
    public TokenizerException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
