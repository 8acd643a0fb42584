namespace Nibble.Tests;

/// <summary>Files made by the real libraries, kept in the repository.</summary>
internal static class Goldens
{
    /// <summary>The folder tests/goldens, found above the test assembly.</summary>
    public static string Folder { get; } = Find();

    public static string At(params string[] parts) => Path.Combine([Folder, .. parts]);

    private static string Find()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            var candidate = Path.Combine(folder, "tests", "goldens");
            if (Directory.Exists(candidate))
            {
                return candidate;
            }
        }

        throw new DirectoryNotFoundException($"no tests/goldens above {AppContext.BaseDirectory}");
    }
}
