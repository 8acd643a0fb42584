using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Data.Tokenizers;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble tokenizer</c>.</summary>
internal sealed class TokenizerVerb : Verb
{
    private readonly Argument<string> _folder = new("folder") { Description = "Folder to write the tokenizer to." };

    private readonly Argument<string[]> _files = new("files")
    {
        Description = "Text: of .json and .jsonl files every string of every row, of other files all they hold.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<int> _vocabulary = new("--vocabulary")
    {
        Description = "Most ids, the three special tokens included; text with few repeated pairs gives fewer.",
        DefaultValueFactory = _ => 2048,
    };

    private readonly Option<int> _minimumFrequency = new("--minimum-frequency")
    {
        Description = "A pair of tokens seen fewer times is not merged.",
        DefaultValueFactory = _ => 2,
    };

    private readonly Option<bool> _force = new("--force")
    {
        Description = "Replace a tokenizer that is there.",
        Arity = ArgumentArity.Zero,
    };

    public TokenizerVerb()
        : base(
            "tokenizer", "Train a byte-level BPE tokenizer of the Qwen2 kind, with ChatML turns, on text of your own.")
    {
        Add(_folder);
        Add(_files);
        Add(_vocabulary);
        Add(_minimumFrequency);
        Add(_force);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var (size, minimum) = (arguments.GetValue(_vocabulary), arguments.GetValue(_minimumFrequency));
        if (size < BpeTrainer.SmallestVocabulary || minimum < 1)
        {
            throw new UsageException(
                $"--vocabulary takes at least {BpeTrainer.SmallestVocabulary} (256 bytes and the special tokens) and "
                + $"--minimum-frequency at least 1; found {size} and {minimum}.");
        }

        var folder = arguments.GetRequiredValue(_folder);
        var texts = BpeTrainer.ReadTexts(arguments.GetRequiredValue(_files));
        var vocabulary = session.Interruption.Graceful(stop => BpeTrainer.Train(texts, size, minimum, stop));
        vocabulary.Save(folder, arguments.GetValue(_force));
        session.Terminal.Line($"{folder}: {vocabulary.Count} ids, {vocabulary.Merges.Count} merges.");
        return ExitCode.Ok;
    }
}
