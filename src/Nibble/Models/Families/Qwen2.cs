namespace Nibble.Models.Families;

/// <summary>Qwen2 and Qwen2.5: biases on q, k, v; an optional window from <c>max_window_layers</c> on.</summary>
internal static class Qwen2
{
    public static Family Family { get; } = new("qwen2", reader =>
    {
        var slides = reader.Flag("use_sliding_window", false);
        var from = reader.OptionalInt("max_window_layers") ?? 0;
        return FamilyTable.Common(
            reader, qkvBias: true, qkNorm: false, FamilyTable.Windows(reader, layer => slides && layer >= from));
    });
}
