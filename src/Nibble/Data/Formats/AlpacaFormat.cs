using Nibble.Data.Sources;
using Nibble.Data.Tokenizers;

namespace Nibble.Data.Formats;

/// <summary>
/// <c>type: alpaca</c>: the Stanford Alpaca prompt, masked, and the response, trained, joined as ids.
/// Source: <c>axolotl-ai-cloud/axolotl src/axolotl/prompters.py</c>, <c>src/axolotl/prompt_tokenizers.py</c>.
/// </summary>
internal sealed class AlpacaFormat(FormatContext context) : IRowFormat
{
    private const string WithInput =
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        + "Write a response that appropriately completes the request.\n\n";

    private const string WithoutInput =
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n";

    private const string Setting = "type: alpaca reads instruction, input (may be absent) and output.";

    private readonly TokenBuffer _buffer = new();
    private readonly int _eos = context.RequireEos();

    public IReadOnlyCollection<string> Fields { get; } = ["instruction", "input", "output"];

    public void Tokenize(Row row, List<Sample> output)
    {
        var instruction = row.RequireText("instruction", Setting);
        var input = row.FindText("input");
        var response = row.RequireText("output", Setting);

        _buffer.Clear();
        context.Tokenizer.Encode(Prompt(instruction, input), _buffer);
        if (_buffer.Count > 0 && _buffer.Ids[^1] == _eos)
        {
            _buffer.RemoveLast();
        }

        var promptLength = _buffer.Count;
        context.Tokenizer.Encode(response, _buffer, addSpecialTokens: false);
        if (_buffer.Ids[^1] != _eos || _buffer.Count == promptLength)
        {
            _buffer.Add(_eos);
        }

        var ids = _buffer.Ids.ToArray();
        var labels = (int[])ids.Clone();
        if (!context.Data.TrainOnInputs)
        {
            labels.AsSpan(0, promptLength).Fill(Sample.Masked);
        }

        output.Add(new Sample(ids, labels, row.Origin));
    }

    /// <summary>The text before the response.</summary>
    /// <param name="instruction">What to do.</param>
    /// <param name="input">More to go by, or null or empty.</param>
    public static string Prompt(string instruction, string? input) => string.IsNullOrEmpty(input)
        ? $"{WithoutInput}### Instruction:\n{instruction}\n\n### Response:\n"
        : $"{WithInput}### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n";
}
