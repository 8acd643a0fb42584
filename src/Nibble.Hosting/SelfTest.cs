using Nibble.Config;
using Nibble.Ops;
using Nibble.Tensors;

namespace Nibble.Hosting;

/// <summary>What one op case gave on a device.</summary>
/// <param name="Op">Name of the op.</param>
/// <param name="Case">Shape, options and layout.</param>
/// <param name="Passed">Whether every element is within its limit.</param>
/// <param name="Worst">Largest error as a share of its limit.</param>
/// <param name="Detail">Where the worst error is, or why the case could not run.</param>
public sealed record SelfTestResult(string Op, string Case, bool Passed, double Worst, string Detail);

/// <summary>Runs the op cases on a device and compares them with the scalar double reference.</summary>
public static class SelfTest
{
    /// <summary>Cases whose id contains a text.</summary>
    /// <param name="filter">Part of an id, ignoring case; null takes all.</param>
    public static int Count(string? filter) => Cases(filter).Count();

    /// <summary>Runs cases one by one.</summary>
    /// <param name="options">Which device.</param>
    /// <param name="filter">Part of a case's id, ignoring case; null takes all.</param>
    /// <param name="device">Told the device once it is open.</param>
    /// <param name="cancellation">Stops between two cases.</param>
    /// <exception cref="DeviceUnavailableException">The device asked for is not here.</exception>
    public static IEnumerable<SelfTestResult> Run(
        EngineOptions options, string? filter, Action<string> device, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        using var choice = BackendChoice.Open(options);
        device($"{choice.Backend.Name} ({choice.Reason})");
        foreach (var opCase in Cases(filter))
        {
            cancellation.ThrowIfCancellationRequested();
            yield return Run(opCase, choice.Backend);
        }
    }

    private static IEnumerable<OpCase> Cases(string? filter) =>
        OpCases.All.Where(c => filter is null || c.Id.Contains(filter, StringComparison.OrdinalIgnoreCase));

    private static SelfTestResult Run(OpCase opCase, IBackend backend)
    {
        var name = opCase.Id[(opCase.Op.Length + 2)..];
        try
        {
            var difference = OpCheck.Values(opCase, backend);
            return new SelfTestResult(opCase.Op, name, difference.Passed, difference.Worst, difference.Where);
        }
        catch (Exception e) when (e is not (OutOfDeviceMemoryException or OutOfMemoryException))
        {
            return new SelfTestResult(
                opCase.Op, name, false, double.PositiveInfinity, $"{e.GetType().Name}: {e.Message}");
        }
    }
}
