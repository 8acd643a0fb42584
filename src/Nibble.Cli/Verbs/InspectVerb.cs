using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Data;
using Nibble.Data.Tokenizers;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble inspect</c>.</summary>
internal sealed class InspectVerb : ConfigVerb
{
    private readonly Option<int> _rows = new("--rows")
    {
        Description = "How many rows.",
        DefaultValueFactory = _ => 3,
    };

    private readonly Option<int> _skip = new("--skip") { Description = "Rows to pass over first." };

    private readonly Option<bool> _eval = new("--eval")
    {
        Description = "Show evaluation rows.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<bool> _brief = new("--brief")
    {
        Description = "Leave the table of tokens out.",
        Arity = ArgumentArity.Zero,
    };

    public InspectVerb()
        : base("inspect", "Show rows as the model sees them: tokens, ids, labels, terminators, which tokens train.")
    {
        Add(_rows);
        Add(_skip);
        Add(_eval);
        Add(_brief);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var (rows, skip) = (arguments.GetValue(_rows), arguments.GetValue(_skip));
        if (rows < 1 || skip < 0)
        {
            throw new UsageException($"--rows takes at least 1 and --skip at least 0; found {rows} and {skip}.");
        }

        var config = LoadWithFiles(arguments, session, weights: false).Config;
        var tokenizer = HfTokenizer.Load(config.Tokenizer.Folder).WithSpecialTokens(config.Data.SpecialTokens);
        var data = session.Interruption.Graceful(stop => Preparation.Watch(
            session.Terminal, progress => DatasetBuilder.Build(config, tokenizer, progress, stop)));
        var eval = arguments.GetValue(_eval);
        var side = eval ? data.Eval : data.Train;
        if (side.Length <= skip)
        {
            throw new UsageException(
                $"--skip {skip}: there are {side.Length} {(eval ? "evaluation" : "training")} samples.");
        }

        var view = new SampleView(session.Terminal, tokenizer, config.Data.EotTokens);
        view.ShowLegend();
        for (var i = skip; i < Math.Min(side.Length, skip + rows); i++)
        {
            view.Show(i, side[i], table: !arguments.GetValue(_brief));
        }

        return ExitCode.Ok;
    }
}
