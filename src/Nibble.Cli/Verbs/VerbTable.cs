using Nibble.Cli.Shell;

namespace Nibble.Cli.Verbs;

/// <summary>The verbs, in the order of the help.</summary>
internal static class VerbTable
{
    /// <summary>Every verb, made anew.</summary>
    public static IReadOnlyList<Verb> All() =>
    [
        new TrainVerb(),
        new PlanVerb(),
        new CheckVerb(),
        new InspectVerb(),
        new EvaluateVerb(),
        new GenerateVerb(),
        new ChatVerb(),
        new ValidateVerb(),
        new MergeVerb(),
        new ExportVerb(),
        new DownloadVerb(),
        new OverlapVerb(),
        new TokenizerVerb(),
        new InitVerb(),
        new DoctorVerb(),
        new SelftestVerb(),
        new BenchVerb(),
        new TraceVerb(),
    ];
}
