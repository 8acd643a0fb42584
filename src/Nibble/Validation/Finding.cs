namespace Nibble.Validation;

/// <summary>What a check concluded.</summary>
public enum CheckStatus
{
    /// <summary>As it should be.</summary>
    Pass,

    /// <summary>Worth a look, or could not be checked; no reason to refuse.</summary>
    Warn,

    /// <summary>The checkpoint must not be used.</summary>
    Fail,
}

/// <summary>One conclusion of a check.</summary>
/// <param name="Name">Name of the check.</param>
/// <param name="Status">Conclusion.</param>
/// <param name="Expected">What should be there.</param>
/// <param name="Found">What is there.</param>
/// <param name="Detail">File, tensors, samples or reasons; may have several lines; empty when there is nothing to
/// add.</param>
public sealed record Finding(string Name, CheckStatus Status, string Expected, string Found, string Detail = "");

/// <summary>One question put to a finished checkpoint.</summary>
public interface ICheck
{
    /// <summary>Short unique name, e.g. <c>finite</c>.</summary>
    string Name { get; }

    /// <summary>Answers it.</summary>
    /// <param name="subject">The checkpoint.</param>
    /// <returns>At least one finding.</returns>
    IEnumerable<Finding> Run(CheckpointSubject subject);
}
