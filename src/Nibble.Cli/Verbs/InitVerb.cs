using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Data.Tokenizers;
using Nibble.Models;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble init</c>.</summary>
internal sealed class InitVerb : Verb
{
    // Head products of GPUs want rows in multiples of this.
    private const int RowMultiple = 64;

    private readonly Argument<string> _folder = new("folder")
    {
        Description = "Folder with a tokenizer, to write the model to.",
    };

    private readonly Option<int> _hidden = Size("--hidden", "Model width.", 256);
    private readonly Option<int> _mlp = Size("--mlp", "MLP width.", 704);
    private readonly Option<int> _layers = Size("--layers", "Layers.", 6);
    private readonly Option<int> _heads = Size("--heads", "Query heads.", 4);
    private readonly Option<int> _kvHeads = Size("--kv-heads", "Key/value heads, a divisor of the query heads.", 2);
    private readonly Option<int> _headDim = Size("--head-dim", "Head width.", 64);

    private readonly Option<double> _range = new("--range")
    {
        Description = "Standard deviation of the weights.",
        DefaultValueFactory = _ => 0.02,
    };

    private readonly Option<ulong> _seed = new("--seed")
    {
        Description = "The same seed gives the same bytes.",
        DefaultValueFactory = _ => 42,
    };

    private readonly Option<bool> _force = new("--force")
    {
        Description = "Replace a model that is there.",
        Arity = ArgumentArity.Zero,
    };

    public InitVerb()
        : base("init", "Make a new, untrained model of the Qwen2 architecture beside a tokenizer.")
    {
        Add(_folder);
        foreach (var size in new[] { _hidden, _mlp, _layers, _heads, _kvHeads, _headDim })
        {
            Add(size);
        }

        Add(_range);
        Add(_seed);
        Add(_force);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var range = arguments.GetValue(_range);
        if (!(range > 0 && double.IsFinite(range)))
        {
            throw new UsageException($"--range takes a number above 0, found {range}.");
        }

        var folder = arguments.GetRequiredValue(_folder);
        var tokenizer = HfTokenizer.Load(folder);
        var shape = new ModelShape
        {
            VocabularySize = (tokenizer.VocabularySize + RowMultiple - 1) / RowMultiple * RowMultiple,
            HiddenSize = arguments.GetValue(_hidden),
            IntermediateSize = arguments.GetValue(_mlp),
            Layers = arguments.GetValue(_layers),
            Heads = arguments.GetValue(_heads),
            KvHeads = arguments.GetValue(_kvHeads),
            HeadDim = arguments.GetValue(_headDim),
            InitializerRange = range,
            EosId = tokenizer.EosId,
            PadId = tokenizer.PadId,
        };
        ModelInitializer.Create(folder, shape, arguments.GetValue(_seed), arguments.GetValue(_force));
        session.Terminal.Line($"{folder}: {Words.Count(ModelConfig.Load(folder).ParameterCount)} parameters, "
            + $"{shape.VocabularySize} rows for {tokenizer.VocabularySize} ids.");
        return ExitCode.Ok;
    }

    private static Option<int> Size(string name, string description, int value) => new(name)
    {
        Description = description,
        DefaultValueFactory = _ => value,
    };
}
