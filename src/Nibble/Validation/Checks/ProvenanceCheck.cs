using Nibble.Checkpoints;

namespace Nibble.Validation.Checks;

/// <summary>The checkpoint says which config, data, seed and version made it, and its states tell the same
/// story.</summary>
public sealed class ProvenanceCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "provenance";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var missing = new[] { RunState.FileName, TrainerState.FileName }
            .Where(n => !File.Exists(Path.Combine(subject.Folder, n)))
            .ToArray();
        if (missing.Length > 0)
        {
            yield return new Finding(
                Name,
                CheckStatus.Warn,
                $"{RunState.FileName} and {TrainerState.FileName}",
                $"no {string.Join(", no ", missing)}",
                "where the adapter comes from cannot be told");
            yield break;
        }

        var (run, state) = (RunState.Read(subject.Folder), TrainerState.Read(subject.Folder));
        if (run.Step != state.GlobalStep)
        {
            yield return new Finding(
                Name,
                CheckStatus.Fail,
                $"step {state.GlobalStep} of {TrainerState.FileName}",
                $"step {run.Step}",
                RunState.FileName);
        }

        var blank = new[]
        {
            ("config_hash", run.ConfigHash), ("dataset_hash", run.DatasetHash),
            ("base_model_fingerprint", run.BaseModelFingerprint), ("nibble_version", run.NibbleVersion),
        }.Where(p => string.IsNullOrWhiteSpace(p.Item2)).Select(p => p.Item1).ToArray();
        if (blank.Length > 0)
        {
            yield return new Finding(
                Name, CheckStatus.Warn, "every origin named", $"blank {string.Join(", ", blank)}", RunState.FileName);
        }

        if (LastLoss(state) is { } last && !double.IsFinite(last.Loss))
        {
            yield return new Finding(
                Name,
                CheckStatus.Fail,
                "a finite loss at the end",
                $"not a number at step {last.Step}",
                TrainerState.FileName);
        }

        if (run.Step == state.GlobalStep && blank.Length == 0)
        {
            yield return new Finding(
                Name,
                CheckStatus.Pass,
                "config, data, base, version and step recorded",
                $"step {run.Step} of {state.MaxSteps}, seed {run.Seed}, Nibble {run.NibbleVersion}",
                string.Join('\n',
                [
                    $"config {run.ConfigHash}", $"data {run.DatasetHash}", $"base {run.BaseModelFingerprint}",
                    .. run.Provenance.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => $"{p.Key} {p.Value}"),
                ]));
        }
    }

    private static (int Step, double Loss)? LastLoss(TrainerState state)
    {
        foreach (var entry in state.LogHistory.Reverse())
        {
            if (entry.Values.TryGetValue("loss", out var loss))
            {
                return (entry.Step, loss);
            }
        }

        return null;
    }
}
