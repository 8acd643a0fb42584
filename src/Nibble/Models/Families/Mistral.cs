namespace Nibble.Models.Families;

/// <summary>Mistral 7B: no biases; every layer slides when the config has a window.</summary>
internal static class Mistral
{
    public static Family Family { get; } = new("mistral", reader =>
    {
        var slides = reader.Has("sliding_window");
        return FamilyTable.Common(reader, qkvBias: false, qkNorm: false, FamilyTable.Windows(reader, _ => slides));
    });
}
