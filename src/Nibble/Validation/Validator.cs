using Nibble.Checkpoints;
using Nibble.Data.Tokenizers;
using Nibble.Models;
using Nibble.Tensors;
using Nibble.Validation.Checks;

namespace Nibble.Validation;

/// <summary>The gate: puts every check to a checkpoint and collects the findings.</summary>
public static class Validator
{
    private const int NamesShown = 20;

    /// <summary>The checks of a whole model that need files alone, in the order they run.</summary>
    public static IReadOnlyList<ICheck> ModelFileChecks { get; } =
    [
        new FilesCheck(), new ModelConfigCheck(), new ModelTensorsCheck(), new TokenizerCheck(), new FiniteCheck(),
        new ModelChangedCheck(), new BaseModelCheck(), new ProvenanceCheck(),
    ];

    /// <summary>The checks of a model that an adapter was merged into that need files alone, in the order they
    /// run.</summary>
    public static IReadOnlyList<ICheck> MergedFileChecks { get; } = [.. ModelFileChecks, new MergeCheck()];

    /// <summary>The checks of an adapter that need files alone, in the order they run.</summary>
    public static IReadOnlyList<ICheck> FileChecks { get; } =
    [
        new FilesCheck(), new ConfigCheck(), new ModulesCheck(), new RankCheck(), new FiniteCheck(), new TrainedCheck(),
        new BaseModelCheck(), new ProvenanceCheck(),
    ];

    /// <summary>Examines a checkpoint.</summary>
    /// <param name="folder">Checkpoint folder, or an output folder with the final result.</param>
    /// <param name="baseModelFolder">Folder of the base model, or null when it is not at hand.</param>
    /// <param name="engineChecks">Checks that need the engine: <see cref="EvalReproducesCheck"/>,
    /// <see cref="SamplesCheck"/>. They run after the others, and only when none of those failed.</param>
    /// <param name="tokenizerFolder">Folder of the tokenizer trained with; null for the base model's.</param>
    public static ValidationReport Validate(
        string folder, string? baseModelFolder, IReadOnlyList<ICheck>? engineChecks = null,
        string? tokenizerFolder = null)
    {
        using var subject = new CheckpointSubject(folder, baseModelFolder, tokenizerFolder);
        var findings = new List<Finding>();
        foreach (var check in subject.IsMerged ? MergedFileChecks : subject.IsModel ? ModelFileChecks : FileChecks)
        {
            findings.AddRange(Run(check, subject));
        }

        var failed = findings.Exists(f => f.Status == CheckStatus.Fail);
        foreach (var check in engineChecks ?? [])
        {
            findings.AddRange(failed
                ?
                [
                    new Finding(
                        check.Name,
                        CheckStatus.Warn,
                        "sound files",
                        "a failed check",
                        "not run: the files are not fit to load"),
                ]
                : Run(check, subject));
        }

        return new ValidationReport(folder, baseModelFolder, findings);
    }

    /// <summary>Names for a message: all of a few, the first of many.</summary>
    /// <param name="names">Names, in order.</param>
    internal static string Names(IReadOnlyCollection<string> names) =>
        string.Join(", ", names.Take(NamesShown))
        + (names.Count > NamesShown ? $" and {names.Count - NamesShown} more" : "");

    // A damaged file is a finding of the check that met it, never the end of the report.
    private static List<Finding> Run(ICheck check, CheckpointSubject subject)
    {
        var findings = new List<Finding>();
        try
        {
            findings.AddRange(check.Run(subject));
        }
        catch (Exception e) when (
            e is CheckpointException or SafetensorsException or ModelFormatException or TokenizerException
            || StorageException.Concerns(e))
        {
            findings.Add(new Finding(check.Name, CheckStatus.Fail, "readable files", e.Message));
        }

        return findings;
    }
}
