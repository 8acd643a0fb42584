using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Hosting;
using Nibble.Hub;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble download</c>.</summary>
internal sealed class DownloadVerb : Verb
{
    private readonly Argument<string> _name = new("name") { Description = "Name on the Hub: org/name." };

    private readonly Option<string?> _revision = new("--revision")
    {
        Description = "Branch, tag or commit; the default branch when left out.",
        HelpName = "name",
    };

    private readonly Option<bool> _dataset = new("--dataset")
    {
        Description = "The name is a data set's: take all its rows, of every split.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<bool> _noWeights = new("--no-weights")
    {
        Description = "Take a model's settings and tokenizer alone.",
        Arity = ArgumentArity.Zero,
    };

    public DownloadVerb()
        : base("download", "Fetch a model or data set into the Hub's cache and print its folder.")
    {
        Add(_name);
        Add(_revision);
        Add(_dataset);
        Add(_noWeights);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var isDataset = arguments.GetValue(_dataset);
        if (isDataset && arguments.GetValue(_noWeights))
        {
            throw new UsageException("--no-weights is about models; a data set has none.");
        }

        var repository = HubRepository.Of(
            isDataset ? HubKind.Dataset : HubKind.Model, arguments.GetRequiredValue(_name),
            arguments.GetValue(_revision));
        var listing = DownloadView.Show(session, (progress, stop) => RunFiles.Download(
            repository,
            new RunFilesOptions
            {
                Weights = !arguments.GetValue(_noWeights),
                Progress = progress,
                Warn = session.Terminal.Warn,
            },
            stop));
        session.Terminal.Note($"{repository.Name}, commit {listing.Commit}");
        session.Terminal.Line(listing.Folder);
        return ExitCode.Ok;
    }
}
