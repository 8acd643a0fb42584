namespace Nibble.Models.Families;

/// <summary>Qwen3: no biases, q and k normed per head, head width stated in the config.</summary>
internal static class Qwen3
{
    public static Family Family { get; } = new("qwen3", reader =>
    {
        if (reader.Flag("attention_bias", false))
        {
            throw reader.Unsupported("attention_bias", "true", "false");
        }

        var slides = reader.Flag("use_sliding_window", false);
        var from = reader.OptionalInt("max_window_layers") ?? 0;
        return FamilyTable.Common(
            reader, qkvBias: false, qkNorm: true, FamilyTable.Windows(reader, layer => slides && layer >= from));
    });
}
