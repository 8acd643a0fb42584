using System.Diagnostics;

namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>What a command line gave.</summary>
/// <param name="ExitCode">Exit code.</param>
/// <param name="Output">Standard output, LF.</param>
/// <param name="Error">Standard error, LF.</param>
internal sealed record ProcessResult(int ExitCode, string Output, string Error);

/// <summary>The program as a user starts it, built beside these tests.</summary>
internal static class NibbleProcess
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>The program's assembly, in the same configuration as these tests.</summary>
    public static string Assembly { get; } = Locate();

    /// <summary>Runs to the end.</summary>
    /// <param name="arguments">Arguments.</param>
    public static ProcessResult Run(params string[] arguments) => RunIn(null, arguments);

    /// <summary>Runs to the end.</summary>
    /// <param name="folder">Working directory, or null for the tests' own.</param>
    /// <param name="arguments">Arguments.</param>
    public static ProcessResult RunIn(string? folder, params string[] arguments) =>
        RunIn(folder, new Dictionary<string, string>(), arguments);

    /// <summary>Runs to the end.</summary>
    /// <param name="folder">Working directory, or null for the tests' own.</param>
    /// <param name="environment">Environment variables to set.</param>
    /// <param name="arguments">Arguments.</param>
    public static ProcessResult RunIn(
        string? folder, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        using var process = Start(folder, arguments, environment);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"nibble {string.Join(' ', arguments)} did not end within {Patience}");
        }

        return new ProcessResult(process.ExitCode, Lf(output.Result), Lf(error.Result));
    }

    /// <summary>Starts it with closed input and output that nobody reads: enough room for a short run's.</summary>
    /// <param name="folder">Working directory, or null for the tests' own.</param>
    /// <param name="arguments">Arguments.</param>
    /// <param name="environment">Environment variables to set, or null.</param>
    public static Process Start(
        string? folder, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = folder ?? "",
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        foreach (var argument in new[] { "exec", Assembly }.Concat(arguments))
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    private static string Lf(string text) => text.Replace("\r\n", "\n", StringComparison.Ordinal);

    // artifacts/bin/<these tests>/<configuration>/ beside artifacts/bin/Nibble.Cli/<configuration>/.
    private static string Locate()
    {
        var own = new DirectoryInfo(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        return Path.Combine(own.Parent!.Parent!.FullName, "Nibble.Cli", own.Name, "nibble.dll");
    }
}
