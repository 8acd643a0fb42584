using Nibble.Checkpoints;

namespace Nibble.Validation.Checks;

/// <summary>The base model at hand is the one that was trained on, by fingerprint of the weights.</summary>
public sealed class BaseModelCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "base model";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var named = subject.IsModel
            ? subject.BaseModelFolder ?? "a folder that was not given"
            : subject.Config.BaseModel;
        if (string.IsNullOrWhiteSpace(named))
        {
            yield return new Finding(
                Name,
                CheckStatus.Warn,
                "base_model_name_or_path",
                "none",
                "loaders cannot find the base by themselves");
        }

        if (subject.BaseModelFolder is not { } folder)
        {
            yield return new Finding(
                Name, CheckStatus.Warn, "the base model's folder", "none given", "the fingerprint was not compared");
            yield break;
        }

        if (!File.Exists(Path.Combine(subject.Folder, RunState.FileName)))
        {
            yield return new Finding(
                Name,
                CheckStatus.Warn,
                $"{RunState.FileName} with the base's fingerprint",
                "no such file",
                $"the adapter names '{named}'; whether it is the base in {folder} cannot be told");
            yield break;
        }

        var expected = RunState.Read(subject.Folder).BaseModelFingerprint;
        var found = ModelFingerprint.Compute(folder);
        yield return new Finding(
            Name,
            expected == found ? CheckStatus.Pass : CheckStatus.Fail,
            expected,
            found,
            expected == found ? $"trained on '{named}'" : $"trained on '{named}', which is not the model in {folder}");
    }
}
