using System.Text.Json;
using Nibble.Data.Sources;
using Nibble.Data.Tokenizers;

namespace Nibble.Data.Formats;

/// <summary>
/// <c>type: input_output</c>: segments of text without any template; a segment trains when its label is true. Nothing
/// is
/// added: the rows hold their own special tokens, BOS and EOS.
/// Source: <c>axolotl-ai-cloud/axolotl src/axolotl/prompt_strategies/input_output.py</c>.
/// </summary>
internal sealed class SegmentFormat(FormatContext context) : IRowFormat
{
    private const string Setting = "type: input_output reads segments, a list of {label, text}.";

    private readonly TokenBuffer _buffer = new();

    public IReadOnlyCollection<string> Fields { get; } = ["segments"];

    public void Tokenize(Row row, List<Sample> output)
    {
        var segments = row.Require("segments", Setting);
        if (segments.ValueKind != JsonValueKind.Array)
        {
            throw row.Wrong("segments", "a list of {label, text}", segments);
        }

        _buffer.Clear();
        var trained = new List<(int Start, int End)>();
        var index = 0;
        foreach (var segment in segments.EnumerateArray())
        {
            if (segment.ValueKind != JsonValueKind.Object
                || !segment.TryGetProperty("text", out var text) || text.ValueKind != JsonValueKind.String
                || !segment.TryGetProperty("label", out var label)
                || label.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            {
                throw row.Wrong($"segments[{index}]", "{\"label\": true or false, \"text\": \"…\"}", segment);
            }

            var start = _buffer.Count;
            context.Tokenizer.Encode(text.GetString()!, _buffer, addSpecialTokens: false);
            if (label.ValueKind == JsonValueKind.True || context.Data.TrainOnInputs)
            {
                trained.Add((start, _buffer.Count));
            }

            index++;
        }

        if (_buffer.Count == 0)
        {
            return;
        }

        var ids = _buffer.Ids.ToArray();
        var labels = new int[ids.Length];
        Array.Fill(labels, Sample.Masked);
        foreach (var (start, end) in trained)
        {
            ids.AsSpan(start, end - start).CopyTo(labels.AsSpan(start));
        }

        output.Add(new Sample(ids, labels, row.Origin));
    }
}
