namespace Nibble.Data.Templates;

/// <summary>A chat template cannot be read, uses something unsupported, or refuses a conversation.</summary>
public sealed class ChatTemplateException : Exception
{
    /// <summary>Takes the whole message.</summary>
    /// <param name="message">What was expected, what was found, and what to set.</param>
    /// <param name="inner">Cause, or null.</param>
    public ChatTemplateException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
