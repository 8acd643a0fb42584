namespace Nibble.Cli.Shell;

/// <summary>What the program tells the one who started it.</summary>
internal static class ExitCode
{
    /// <summary>Done, and every gate said yes.</summary>
    public const int Ok = 0;

    /// <summary>The work failed, or a gate said no.</summary>
    public const int Failed = 1;

    /// <summary>Bad usage, config, data or model folder.</summary>
    public const int BadInput = 2;

    /// <summary>No suitable device, or not enough of its memory.</summary>
    public const int NoDevice = 3;

    /// <summary>Interrupted; while training, after a full checkpoint.</summary>
    public const int Interrupted = 130;
}
