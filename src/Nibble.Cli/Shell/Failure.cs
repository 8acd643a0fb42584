using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Templates;
using Nibble.Data.Tokenizers;
using Nibble.Hosting;
using Nibble.Hub;
using Nibble.Models;
using Nibble.Planning;
using Nibble.Tensors;
using Nibble.Tracking;
using Nibble.Training;

namespace Nibble.Cli.Shell;

/// <summary>The command line asks for something that does not exist.</summary>
/// <param name="message">What was expected, what was found.</param>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>An error as the user sees it: the one place that turns exceptions into exit codes.</summary>
/// <param name="Code">Exit code.</param>
/// <param name="Message">One clear message.</param>
internal sealed record Failure(int Code, string Message)
{
    /// <summary>Explains an exception.</summary>
    /// <param name="error">Whatever ended the work.</param>
    public static Failure Of(Exception error)
    {
        var cause = error is AggregateException { InnerExceptions: [var only] } ? only : error;
        var hint = Surroundings.Debug ? "" : $" ({Surroundings.DebugVariable}=1 shows where)";
        var known = cause switch
        {
            UsageException or ConfigException or DatasetException or TokenizerException or ChatTemplateException
                or ModelFormatException or SafetensorsException or TrackingException or NotSupportedException =>
                new Failure(ExitCode.BadInput, cause.Message),
            HubException { IsMistake: true } => new Failure(ExitCode.BadInput, cause.Message),
            DeviceUnavailableException or MemoryPlanException or OutOfDeviceMemoryException or OutOfMemoryException =>
                new Failure(ExitCode.NoDevice, cause.Message),
            OperationCanceledException => new Failure(ExitCode.Interrupted, "interrupted."),
            CheckpointException or TrainingException or StorageException or HubException =>
                new Failure(ExitCode.Failed, cause.Message),
            DeviceFailureException =>
                new Failure(ExitCode.Failed, $"the device failed: {cause.Message}{hint}"),
            _ when StorageException.Concerns(cause) => new Failure(ExitCode.Failed, cause.Message),
            _ => new Failure(ExitCode.Failed, $"internal error, {cause.GetType().Name}: {cause.Message}{hint}"),
        };
        return Surroundings.Debug ? known with { Message = $"{known.Message}\n{cause}" } : known;
    }
}
