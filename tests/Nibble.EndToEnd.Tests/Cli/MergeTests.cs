using System.Text.Json;

namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>The way from an adapter to what servers take, through the program.</summary>
public sealed class MergeTests
{
    [Fact]
    public void Merge_AfterAShortRun_GivesAModelThatIsValidatedEvaluatedAndExported()
    {
        using var folder = new TemporaryFolder();
        var (adapter, merged) = (Path.Combine(folder.Path, "out"), Path.Combine(folder.Path, "out", "merged"));
        string[] run =
        [
            Examples.Nl2Bash, "--device", "cpu", "--output_dir", adapter, "--test_datasets.0.path", Rows(folder),
        ];
        var trained = NibbleProcess.Run(["train", .. run, "--max_steps", "6", "--eval_steps", "6"]);
        Assert.True(trained.ExitCode == 0, trained.Error);

        var result = NibbleProcess.Run(["merge", .. run, "--tokens", "100"]);
        Assert.True(result.ExitCode == 0, result.Output + result.Error);
        Assert.Matches(@"base in NF4 \+ adapter, as trained +\| \d+\.\d{4}", result.Output);
        Assert.Matches(@"base unquantised \+ adapter +\| \d+\.\d{4}", result.Output);
        Assert.Contains("rounding: passed", result.Output);
        Assert.True(File.Exists(Path.Combine(merged, "model.safetensors")));

        var again = NibbleProcess.Run(["merge", .. run]);
        Assert.Equal(1, again.ExitCode);
        Assert.Contains("--overwrite", again.Error);

        Assert.Equal(0, NibbleProcess.Run("validate", merged, "--device", "cpu", "--files-only").ExitCode);

        // As a model of its own, and as the base of the run's config.
        var evaluated = NibbleProcess.Run(["evaluate", .. run, "--adapter", merged, "--json"]);
        Assert.True(evaluated.ExitCode == 0, evaluated.Error);
        using var json = JsonDocument.Parse(evaluated.Output);
        using var report = JsonDocument.Parse(File.ReadAllText(Path.Combine(merged, "merge_report.json")));
        Assert.True(json.RootElement.GetProperty("loss").GetDouble() > 0);
        Assert.True(report.RootElement.GetProperty("measurement").GetProperty("passed").GetBoolean());
        string[] prompt = ["--prompt", "list files", "--max-new-tokens", "4"];
        Assert.Equal(0, NibbleProcess.Run(["generate", .. run, .. prompt, "--base_model", merged, "--base"]).ExitCode);

        var file = Path.Combine(folder.Path, "adapter.gguf");
        var exported = NibbleProcess.Run("export", adapter, "--out", file, "--type", "f16");
        Assert.True(exported.ExitCode == 0, exported.Error);
        Assert.Equal("GGUF"u8.ToArray(), File.ReadAllBytes(file)[..4]);
        Assert.Equal(2, NibbleProcess.Run("export", adapter, "--out", file).ExitCode);
    }

    [Fact]
    public void Merge_WithoutAnAdapter_SaysWhatToDo()
    {
        using var folder = new TemporaryFolder();
        var result = NibbleProcess.Run("merge", Examples.Nl2Bash, "--output_dir", Path.Combine(folder.Path, "none"));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("Train first", result.Error);
    }

    [Fact]
    public void Export_WithoutAFormatThatIsKnown_ListsThem()
    {
        using var folder = new TemporaryFolder();
        var result = NibbleProcess.Run("export", folder.Path, "--format", "onnx", "--out", "x");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("gguf", result.Error);
    }

    private static string Rows(TemporaryFolder folder)
    {
        var path = Path.Combine(folder.Path, "rows.jsonl");
        var source = Path.Combine(Examples.Root, "examples", "nl2bash", "val.jsonl");
        File.WriteAllLines(path, File.ReadLines(source).Take(30));
        return path;
    }
}
