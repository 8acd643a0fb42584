namespace Nibble.Architecture.Tests;

/// <summary>Files of the repository, found from where the tests run.</summary>
internal static class Repository
{
    // Build output, caches and what runs leave behind, as in .gitignore: anywhere, and in the root alone.
    private static readonly string[] Ignored =
    [
        ".git", ".vs", ".idea", ".venv", "artifacts", "bin", "obj", "publish", "TestResults",
        "BenchmarkDotNet.Artifacts", "__pycache__", "last_run_prepared",
    ];

    private static readonly string[] IgnoredInRoot = ["out", "runs", "wandb"];

    public static string Root { get; } = FindRoot();

    public static string PathTo(string relative) => Path.Combine(Root, relative);

    /// <summary>Text with LF, whatever a checkout made of it.</summary>
    public static string ReadText(string relative) =>
        File.ReadAllText(PathTo(relative)).Replace("\r\n", "\n", StringComparison.Ordinal);

    /// <summary>Files below a folder, as paths from the root with forward slashes, in order.</summary>
    /// <param name="folder">Folder from the root, or empty for all.</param>
    /// <param name="extensions">Endings with their dot; none means every file.</param>
    public static IReadOnlyList<string> Files(string folder, params string[] extensions)
    {
        var found = new List<string>();
        Walk(new DirectoryInfo(folder.Length == 0 ? Root : PathTo(folder)), extensions, found);
        found.Sort(StringComparer.Ordinal);
        return found;
    }

    private static void Walk(DirectoryInfo folder, string[] extensions, List<string> found)
    {
        foreach (var file in folder.EnumerateFiles())
        {
            if (extensions.Length == 0 || extensions.Contains(file.Extension))
            {
                found.Add(Path.GetRelativePath(Root, file.FullName).Replace('\\', '/'));
            }
        }

        foreach (var child in folder.EnumerateDirectories())
        {
            if (!Ignored.Contains(child.Name) && !(folder.FullName == Root && IgnoredInRoot.Contains(child.Name)))
            {
                Walk(child, extensions, found);
            }
        }
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
