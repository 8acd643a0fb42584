using System.Diagnostics;

namespace Nibble.Hosting.Answers;

/// <summary>The judgement of a bash that is installed here: <c>bash -n</c> parses and runs nothing.</summary>
public static class BashSyntax
{
    private const int SecondsToParse = 10;

    /// <summary>Whether a <c>bash</c> on the search path can be started.</summary>
    public static bool IsInstalled()
    {
        try
        {
            return Parses(":");
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    /// <summary>Whether bash parses a text; an empty text is no command and does not count as one.</summary>
    /// <param name="text">Script; it is parsed, never run.</param>
    /// <exception cref="System.ComponentModel.Win32Exception">Bash is not installed.</exception>
    public static bool Parses(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (string.IsNullOrWhiteSpace(text) || text.Contains('\0'))
        {
            return false;
        }

        // Standard input, not -c: the text is data and never an argument.
        var start = new ProcessStartInfo("bash", ["--norc", "-n"])
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        using var bash = Process.Start(start)!;
        var errors = bash.StandardError.ReadToEndAsync();
        try
        {
            bash.StandardInput.Write(text);
            bash.StandardInput.Write('\n');
            bash.StandardInput.Close();
        }
        catch (IOException)
        {
            // Bash stopped reading: its exit code says why.
        }

        if (!bash.WaitForExit(TimeSpan.FromSeconds(SecondsToParse)))
        {
            bash.Kill();
            return false;
        }

        return bash.ExitCode == 0 && errors.Result.Length == 0;
    }
}
