using System.Globalization;

namespace Nibble.Validation.Checks;

/// <summary><c>adapter_config.json</c> parses and describes a plain LoRA adapter.</summary>
public sealed class ConfigCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "config";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var config = subject.Config;
        yield return new Finding(
            Name,
            CheckStatus.Pass,
            "peft_type LORA",
            string.Create(
                CultureInfo.InvariantCulture,
                $"LORA, r {config.Rank}, alpha {config.Alpha}, on {string.Join(", ", config.TargetModules)}"));
    }
}
