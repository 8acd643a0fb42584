using Nibble.Config;

namespace Nibble.Tests.Config;

public sealed class ConfigDocumentTests
{
    [Fact]
    public void ConfigDocument_Committed_EqualsTheKeyTable()
    {
        var path = Path.Combine(RepositoryRoot(), "docs", "config.md");
        var expected = ConfigDocument.Generate();
        if (Environment.GetEnvironmentVariable("NIBBLE_REGENERATE") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, expected);
        }

        Assert.True(
            File.Exists(path) && File.ReadAllText(path) == expected,
            "docs/config.md differs from the key table. Make it again with NIBBLE_REGENERATE=1 dotnet run "
            + "--project tests/Nibble.Tests -- -class \"*ConfigDocumentTests\", and review the difference.");
    }

    private static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Nibble.slnx")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The tests run outside the repository.");
    }
}
