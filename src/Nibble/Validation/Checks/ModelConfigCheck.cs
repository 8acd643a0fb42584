using System.Text.Json;
using Nibble.Checkpoints;
using Nibble.Models;
using Nibble.Models.Full;
using Nibble.Tensors;

namespace Nibble.Validation.Checks;

/// <summary>A whole model's <c>config.json</c> describes the tensors beside it, and says of the
/// architecture what the base's says.</summary>
public sealed class ModelConfigCheck : ICheck
{
    // Who wrote the file and where the model came from change nothing that is computed.
    private static readonly string[] _informational = ["_name_or_path", "transformers_version"];

    /// <inheritdoc/>
    public string Name => "config";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var config = ModelConfig.Load(subject.Folder);
        var wrong = Contradictions(config, subject.Tensors);
        if (wrong.Count > 0)
        {
            yield return new Finding(
                Name, CheckStatus.Fail, $"the tensors that {FullModelFiles.Config} describes", $"{wrong.Count} differ",
                Validator.Names(wrong));
        }

        var changed = subject.BaseModelFolder is { } folder ? Changed(folder, subject.Folder) : [];
        if (changed.Count > 0)
        {
            yield return new Finding(
                Name, CheckStatus.Fail, $"the base model's {FullModelFiles.Config}", $"{changed.Count} fields differ",
                Validator.Names(changed));
        }

        if (wrong.Count == 0 && changed.Count == 0)
        {
            yield return new Finding(
                Name, CheckStatus.Pass, $"the tensors that {FullModelFiles.Config} describes",
                $"{config.Family}, {config.Layers} layers of width {config.HiddenSize}, "
                + $"{config.ParameterCount} parameters");
        }
    }

    private static List<string> Contradictions(
        ModelConfig config, IReadOnlyDictionary<string, SafetensorsEntry> tensors)
    {
        var arena = Arena.Counting();
        var expected = ModelWeights.Allocate(config, FullParameters.Format(DType.F32), arena, arena)
            .DenseTensors().ToDictionary(t => t.Name, t => t.View, StringComparer.Ordinal);
        var wrong = new List<string>();
        foreach (var entry in tensors.Values.OrderBy(e => e.Name, StringComparer.Ordinal))
        {
            if (expected.Remove(entry.Name, out var view))
            {
                if (!Fits(entry, view))
                {
                    wrong.Add($"{entry}, described as [{view.Rows}, {view.Cols}]");
                }
            }
            else if (!(config.TiedHead && entry.Name == ModelWeights.HeadName))
            {
                wrong.Add($"{entry}, which it has no place for");
            }
        }

        wrong.AddRange(expected.Keys.Select(n => $"no {n}"));
        return wrong;
    }

    private static bool Fits(SafetensorsEntry entry, TensorView view) => entry.Shape switch
    {
        [var count] => view.Rows == 1 && count == view.Cols,
        [var rows, var cols] => rows == view.Rows && cols == view.Cols,
        _ => false,
    };

    private static List<string> Changed(string baseFolder, string folder)
    {
        var (before, after) = (Fields(baseFolder), Fields(folder));
        if (MergeReport.IsIn(folder) && !after.ContainsKey(FullModelFiles.QuantizationKey))
        {
            // A base in 4 bits is merged in full.
            before.Remove(FullModelFiles.QuantizationKey);
        }

        return
        [
            .. before.Keys.Union(after.Keys).Except(_informational).Order(StringComparer.Ordinal)
                .Where(n => before.GetValueOrDefault(n) != after.GetValueOrDefault(n))
                .Select(
                    n => $"{n}: {before.GetValueOrDefault(n) ?? "nothing"} in the base, "
                        + $"{after.GetValueOrDefault(n) ?? "nothing"} here"),
        ];
    }

    private static Dictionary<string, string> Fields(string folder)
    {
        var path = Path.Combine(folder, FullModelFiles.Config);
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path));
            return json.RootElement.EnumerateObject().ToDictionary(
                p => p.Name, p => p.Value.GetRawText(), StringComparer.Ordinal);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            throw new ModelFormatException(
                $"{path}: expected a JSON object with every field once, found: {e.Message}", e);
        }
    }
}
