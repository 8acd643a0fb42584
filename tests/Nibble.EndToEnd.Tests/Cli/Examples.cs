namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>Runs that the repository holds, and one that lies beside it.</summary>
internal static class Examples
{
    /// <summary>Root of the repository.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The example that trains within minutes on a processor.</summary>
    public static string Nl2Bash { get; } = Path.Combine(Root, "examples", "nl2bash", "qlora.yml");

    /// <summary>The reference run's own YAML, or skips.</summary>
    public static string ReferenceRun()
    {
        var path = Path.Combine(Root, "..", "shared", "data", "reference-run", "axolotl_config.yaml");
        for (var folder = new DirectoryInfo(Root); folder is not null && !File.Exists(path); folder = folder.Parent)
        {
            path = Path.Combine(folder.FullName, "shared", "data", "reference-run", "axolotl_config.yaml");
        }

        if (!File.Exists(path))
        {
            Assert.Skip("the reference run's YAML is not beside this repository");
        }

        return path;
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Nibble.slnx")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName
            ?? throw new InvalidOperationException($"no Nibble.slnx above {AppContext.BaseDirectory}");
    }
}
