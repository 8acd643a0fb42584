namespace Nibble.Data.Templates;

/// <summary>One turn of a conversation.</summary>
/// <param name="Role"><c>system</c>, <c>user</c>, <c>assistant</c>, <c>tool</c> or a name of the row's own.</param>
/// <param name="Content">Text of the turn.</param>
public sealed record ChatMessage(string Role, string Content)
{
    /// <summary>Whether the turn trains, when the row says so; null leaves it to the role.</summary>
    public bool? Trains { get; init; }

    /// <summary>Other properties, for templates that read them (<c>tool_calls</c>, <c>reasoning_content</c>): null,
    /// bool,
    /// long, double, string, list or mapping.</summary>
    public IReadOnlyDictionary<string, object?> Properties { get; init; } = new Dictionary<string, object?>();
}
