using Nibble.Data.Sources;
using Nibble.Data.Tokenizers;

namespace Nibble.Data.Formats;

/// <summary>
/// <c>type: completion</c>: the text as it is, EOS at its end unless it is there, every token trains, and long rows are
/// cut into consecutive samples. Source: <c>axolotl-ai-cloud/axolotl src/axolotl/prompt_strategies/completion.py</c>.
/// </summary>
internal sealed class CompletionFormat : IRowFormat
{
    /// <summary>A row is cut off at this many sequence lengths.</summary>
    private const int MostChunks = 64;

    private readonly FormatContext _context;
    private readonly TokenBuffer _buffer = new();
    private readonly int _eos;
    private readonly string[] _terminators;

    public CompletionFormat(FormatContext context)
    {
        _context = context;
        _eos = context.RequireEos();
        Fields = [context.Dataset.Field];
        string[] candidates =
            [context.Tokenizer.SpecialTokens["eos_token"], .. context.Data.EotTokens, "<|im_end|>", "<|eot_id|>"];
        _terminators = [.. candidates.Distinct().Where(token => context.Tokenizer.TokenToId(token) is not null)];
    }

    public IReadOnlyCollection<string> Fields { get; }

    public void Tokenize(Row row, List<Sample> output)
    {
        var field = _context.Dataset.Field;
        var text = row.RequireText(field, "Set field to the column that holds the text.");
        if (text.Length == 0)
        {
            return;
        }

        WarnOfMisread(row, text);
        _buffer.Clear();
        _context.Tokenizer.Encode(text, _buffer);
        var limit = MostChunks * (long)_context.Sequence.Length;
        if (_buffer.Count > limit)
        {
            _context.Warnings.Add($"text longer than {MostChunks} x sequence_len = {limit} tokens was cut off there",
                row.Origin);
        }
        else if (_buffer.Count < limit && _buffer.Ids[^1] != _eos)
        {
            _buffer.Add(_eos);
        }

        var ids = _buffer.Ids[..(int)Math.Min(limit, _buffer.Count)];
        for (var start = 0; start < ids.Length; start += _context.Sequence.Length)
        {
            var chunk = ids.Slice(start, Math.Min(_context.Sequence.Length, ids.Length - start)).ToArray();
            output.Add(new Sample(chunk, chunk, row.Origin));
        }
    }

    private void WarnOfMisread(Row row, string text)
    {
        if (row.Find("input_ids") is not null || row.Find("labels") is not null)
        {
            _context.Warnings.Add(
                "rows carry input_ids or labels, but type: completion trains on every token of "
                + $"'{_context.Dataset.Field}' and ignores them; leave type out to train on the labels as they are",
                row.Origin);
        }

        var end = text.AsSpan().TrimEnd("\r\n");
        if (end.Length == text.Length)
        {
            return;
        }

        foreach (var token in _terminators)
        {
            if (end.EndsWith(token))
            {
                var eos = _context.Tokenizer.SpecialTokens["eos_token"];
                _context.Warnings.Add(
                    $"text already ends in {token} and a line break; EOS is added after it, so the model learns "
                    + $"{token}\\n{eos}. Remove the line break, or use type: chat_template",
                    row.Origin);
            }
        }
    }
}
