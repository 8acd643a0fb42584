using Nibble.Config;
using Nibble.Data.Sources;
using Nibble.Data.Tokenizers;

namespace Nibble.Data.Formats;

/// <summary>Turns rows of one dataset entry into samples.</summary>
internal interface IRowFormat
{
    /// <summary>Fields of a row that the format reads; others are reported as unused.</summary>
    IReadOnlyCollection<string> Fields { get; }

    /// <summary>Appends the samples of one row: none for an empty one, several for a long completion.</summary>
    /// <param name="row">Row.</param>
    /// <param name="output">Receives samples.</param>
    void Tokenize(Row row, List<Sample> output);
}

/// <summary>What a format needs to know.</summary>
/// <param name="Tokenizer">Tokenizer with the run's special tokens.</param>
/// <param name="Data">Options of all data.</param>
/// <param name="Sequence">Length policy.</param>
/// <param name="Dataset">The entry.</param>
/// <param name="Warnings">Receives what the user should know.</param>
internal sealed record FormatContext(
    HfTokenizer Tokenizer, DataOptions Data, SequenceOptions Sequence, DatasetOptions Dataset, WarningLog Warnings)
{
    /// <summary>The id that ends a sample.</summary>
    /// <exception cref="DatasetException">The tokenizer has none.</exception>
    public int RequireEos() => Tokenizer.EosId ?? throw new DatasetException(
        $"type: {Dataset.Type} ends every row with the tokenizer's EOS, but the tokenizer names none. "
        + "Add tokenizer_config.json to its folder, or set special_tokens: eos_token.");
}

/// <summary>One value of <c>type</c>.</summary>
public sealed class RowFormat
{
    internal RowFormat(string? name, string description, Func<FormatContext, IRowFormat> create) =>
        (Name, Description, Create) = (name, description, create);

    /// <summary>Name in the config; null for pre-tokenised rows, which have no type.</summary>
    public string? Name { get; }

    /// <summary>What a row looks like.</summary>
    public string Description { get; }

    /// <summary>Makes the tokenising object for one dataset entry.</summary>
    internal Func<FormatContext, IRowFormat> Create { get; }
}

/// <summary>The dataset types this program knows.</summary>
public static class RowFormats
{
    /// <summary>Every type, in the order of the documentation.</summary>
    public static IReadOnlyList<RowFormat> All { get; } =
    [
        new("completion", "text in one field; all of it trains", context => new CompletionFormat(context)),
        new("alpaca", "instruction, input (optional), output; the output trains", context => new AlpacaFormat(context)),
        new("chat_template", "a list of messages; turns of the chosen roles train", context => new ChatFormat(context)),
        new("input_output", "a list of segments {label, text}; segments with label true train",
            context => new SegmentFormat(context)),
        new(null, "input_ids and labels as they are", context => new TokenFormat(context)),
    ];

    /// <summary>The format of a name.</summary>
    /// <param name="type">Value of <c>type</c>, or null for pre-tokenised rows.</param>
    /// <exception cref="DatasetException">The name is unknown; the message lists the known ones and the
    /// nearest.</exception>
    public static RowFormat Find(string? type)
    {
        if (All.FirstOrDefault(format => format.Name == type) is { } found)
        {
            return found;
        }

        var names = All.Where(format => format.Name is not null).Select(format => format.Name!).ToList();
        var nearest = NearestName.Find(type!, names);
        throw new DatasetException(
            $"type: '{type}' is not a dataset type this program knows. Known: {string.Join(", ", names)}, "
            + "or no type for rows that hold input_ids and labels."
            + (nearest is null ? string.Empty : $" Did you mean '{nearest}'?"));
    }
}
