using System.Text.Json;

namespace Nibble.Tests.Data;

/// <summary>Goldens of the repository, and larger files beside it that a checkout may lack.</summary>
internal static class DataFiles
{
    public static string Goldens => Path.Combine(Root, "tests", "goldens", "tokenizers");

    private static string Root { get; } = FindRoot();

    public static JsonElement Golden(string name) =>
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Goldens, name))).RootElement;

    /// <summary>A path under the shared data folder; skips the test when it is absent.</summary>
    public static string Shared(params string[] parts)
    {
        for (var folder = Root; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            var path = Path.Combine([folder, "shared", "data", .. parts]);
            if (Path.Exists(path))
            {
                return path;
            }
        }

        Assert.Skip($"needs {Path.Combine(["shared", "data", .. parts])} beside the repository");
        return string.Empty;
    }

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Nibble.slnx")))
        {
            folder = Path.GetDirectoryName(folder.TrimEnd(Path.DirectorySeparatorChar))
                ?? throw new InvalidOperationException("Nibble.slnx is not above " + AppContext.BaseDirectory);
        }

        return folder;
    }
}
