using System.Globalization;
using Nibble.Checkpoints;
using Nibble.Models;
using Nibble.Tensors;

namespace Nibble.Validation.Checks;

/// <summary>
/// Every module that the config targets in the base model has A [r, in] and B [out, r], and there is no other tensor.
/// </summary>
public sealed class ModulesCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "modules";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        return subject.BaseModelFolder is null ? PairsOnly(subject) : AgainstBase(subject);
    }

    private IEnumerable<Finding> AgainstBase(CheckpointSubject subject)
    {
        var rank = subject.Config.Rank;
        var targeted = Targeted(subject.BaseConfig, subject.Config).ToArray();
        var expected = new Dictionary<string, (int Rows, int Cols)>(StringComparer.Ordinal);
        foreach (var (module, output, input) in targeted)
        {
            expected.Add(LoraAdapter.NameOfA(module), (rank, input));
            expected.Add(LoraAdapter.NameOfB(module), (output, rank));
        }

        var any = false;
        var missing = expected.Keys.Where(n => !subject.Weights.Tensors.ContainsKey(n)).ToArray();
        if (missing.Length > 0 || targeted.Length == 0)
        {
            any = true;
            yield return new Finding(
                Name,
                CheckStatus.Fail,
                $"{expected.Count} tensors for {targeted.Length} modules of the base model",
                targeted.Length == 0 ? "target modules that the base model lacks" : $"{missing.Length} are missing",
                Validator.Names(missing));
        }

        foreach (var entry in subject.Weights.Tensors.Values.OrderBy(e => e.Name, StringComparer.Ordinal))
        {
            if (!expected.TryGetValue(entry.Name, out var shape))
            {
                any = true;
                yield return new Finding(
                    Name,
                    CheckStatus.Fail,
                    "tensors of targeted modules alone",
                    "a tensor the base has no place for",
                    entry.Name);
            }
            else if (!IsMatrix(entry, shape.Rows, shape.Cols))
            {
                any = true;
                yield return new Finding(
                    Name,
                    CheckStatus.Fail,
                    $"[{shape.Rows}, {shape.Cols}]",
                    $"[{string.Join(", ", entry.Shape)}]",
                    entry.Name);
            }
        }

        if (!any)
        {
            yield return new Finding(
                Name,
                CheckStatus.Pass,
                $"{expected.Count} tensors for {targeted.Length} modules of the base model",
                "all there with the right shapes");
        }
    }

    private static IEnumerable<(string Module, int Out, int In)> Targeted(ModelConfig model, LoraAdapterConfig adapter)
    {
        for (var layer = 0; layer < model.Layers; layer++)
        {
            if (adapter.LayersToTransform is { } chosen && !chosen.Contains(layer))
            {
                continue;
            }

            foreach (var (path, output, input) in model.LayerLinears)
            {
                var module = string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.{path}");
                if (adapter.TargetModules.Any(t => LoraAdapter.Matches(module, t)))
                {
                    yield return (module, output, input);
                }
            }
        }
    }

    private IEnumerable<Finding> PairsOnly(CheckpointSubject subject)
    {
        var names = subject.Weights.Tensors.Keys;
        var lonely = names
            .Select(n => (Name: n, Parsed: LoraAdapter.ParseName(n)))
            .Where(n => n.Parsed is not { } p
                || !names.Contains(p.IsA ? LoraAdapter.NameOfB(p.Module) : LoraAdapter.NameOfA(p.Module)))
            .Select(n => n.Name)
            .ToArray();
        yield return lonely.Length > 0
            ? new Finding(
                Name, CheckStatus.Fail, "A and B of every module", "tensors without the other", Validator.Names(lonely))
            : new Finding(
                Name,
                CheckStatus.Warn,
                "the base model's folder",
                "none given",
                "only pairs were checked; completeness and shapes were not");
    }

    private static bool IsMatrix(SafetensorsEntry entry, int rows, int cols) =>
        entry.Shape is [var r, var c] && r == rows && c == cols;
}
