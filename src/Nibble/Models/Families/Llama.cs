namespace Nibble.Models.Families;

/// <summary>Llama 2 and 3: no biases, full attention, optional long-context rotary scaling.</summary>
internal static class Llama
{
    public static Family Family { get; } = new("llama", reader =>
    {
        foreach (var field in new[] { "attention_bias", "mlp_bias" })
        {
            if (reader.Flag(field, false))
            {
                throw reader.Unsupported(field, "true", "false");
            }
        }

        return FamilyTable.Common(reader, qkvBias: false, qkNorm: false, FamilyTable.Windows(reader, _ => false));
    });
}
