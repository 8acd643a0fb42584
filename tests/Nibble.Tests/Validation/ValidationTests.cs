using System.Text.Json;
using System.Xml.Linq;
using Nibble.Checkpoints;
using Nibble.Tests.Checkpoints;
using Nibble.Validation;
using Nibble.Validation.Checks;

namespace Nibble.Tests.Validation;

/// <summary>One sound checkpoint of the golden adapter, then one fault at a time.</summary>
public sealed class ValidationTests : IDisposable
{
    private static readonly string _base = Goldens.At("qwen2");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Validate_SoundCheckpoint_PassesEveryCheck()
    {
        var report = Validator.Validate(Write(c => c), _base);
        Assert.All(report.Findings, f => Assert.True(f.Status == CheckStatus.Pass, f.ToString()));
        Assert.Equal(Validator.FileChecks.Select(c => c.Name), report.Findings.Select(f => f.Name));
        Assert.True(report.Passed);
    }

    [Fact]
    public void Validate_AllLinearAdapter_FindsEveryProjection()
    {
        var adapter = AdapterReader.Read(Goldens.At("train-nf4-fp32-adamw8bit-all-linear", "final"));
        var report = Validator.Validate(Write(c => c with { Weights = adapter }), _base);
        Assert.Contains("28 tensors for 14 modules", One(report, "modules").Expected, StringComparison.Ordinal);
        Assert.True(report.Passed);
    }

    [Fact]
    public void Validate_TamperedFile_FailsFiles()
    {
        var folder = Write(c => c);
        var path = Path.Combine(folder, AdapterFileNames.Weights);
        var bytes = File.ReadAllBytes(path);
        bytes[^2] ^= 1;
        File.WriteAllBytes(path, bytes);
        var finding = One(Validator.Validate(folder, _base), "files");
        Assert.Equal((CheckStatus.Fail, AdapterFileNames.Weights), (finding.Status, finding.Detail));
        Assert.StartsWith("sha256 ", finding.Found, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(AdapterFileNames.Config)]
    [InlineData(AdapterFileNames.Weights)]
    [InlineData(CheckpointManifest.FileName)]
    [InlineData("README.md")]
    public void Validate_MissingFile_FailsFiles(string name)
    {
        var folder = Write(c => c);
        File.Delete(Path.Combine(folder, name));
        var failed = Failed(Validator.Validate(folder, _base), "files");
        Assert.Contains(failed, f => (f.Expected + f.Detail + f.Found).Contains(name, StringComparison.Ordinal));
    }

    [Fact]
    public void Validate_NoFolder_FailsWithoutThrowing() =>
        Assert.False(Validator.Validate(_folder["absent"], _base).Passed);

    [Fact]
    public void Validate_AnotherKindOfAdapter_FailsConfig()
    {
        var folder = Write(c => c);
        Replace(Path.Combine(folder, AdapterFileNames.Config), "\"LORA\"", "\"IA3\"");
        Assert.Contains("IA3", Failed(Validator.Validate(folder, _base), "config")[0].Found, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_NaNAndInfinity_FailFiniteAndNameTensorAndElement()
    {
        var folder = Write(c => c with
        {
            Weights = Change(c.RequireAdapter(), t =>
            {
                if (t.Name.EndsWith("1.self_attn.k_proj.lora_A.weight", StringComparison.Ordinal))
                {
                    t.Data[7] = float.NaN;
                    t.Data[9] = float.NegativeInfinity;
                }
            }),
        });
        var finding = One(Validator.Validate(folder, _base), "finite");
        Assert.Equal(CheckStatus.Fail, finding.Status);
        Assert.Equal("1 NaN, 1 infinite, the first at element 7", finding.Found);
        Assert.Equal(LoraAdapter.NameOfA("model.layers.1.self_attn.k_proj"), finding.Detail);
    }

    [Fact]
    public void Validate_EveryBZero_FailsTrained()
    {
        var folder = Write(c => c with { Weights = Change(c.RequireAdapter(), t => Zero(t, ".lora_B.")) });
        var report = Validator.Validate(folder, _base);
        Assert.Contains("all 8 are zero", One(report, "trained").Found, StringComparison.Ordinal);
        Assert.False(report.Passed);
    }

    [Fact]
    public void Validate_OneBZero_Warns()
    {
        var folder = Write(
            c => c with { Weights = Change(c.RequireAdapter(), t => Zero(t, "1.self_attn.v_proj.lora_B.")) });
        var report = Validator.Validate(folder, _base);
        var finding = One(report, "trained");
        Assert.Equal(CheckStatus.Warn, finding.Status);
        Assert.Equal(LoraAdapter.NameOfB("model.layers.1.self_attn.v_proj"), finding.Detail);
        Assert.True(report.Passed);
    }

    [Fact]
    public void Validate_MissingModule_FailsModules()
    {
        var folder = Write(c => c with
        {
            Weights = c.RequireAdapter() with
            {
                Tensors =
                [
                    .. c.RequireAdapter().Tensors.Where(
                        t => !t.Name.Contains("1.self_attn.o_proj", StringComparison.Ordinal)),
                ],
            },
        });
        var finding = One(Validator.Validate(folder, _base), "modules");
        Assert.Equal((CheckStatus.Fail, "2 are missing"), (finding.Status, finding.Found));
        Assert.Contains("model.layers.1.self_attn.o_proj.lora_A", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_TensorThatTheBaseHasNoPlaceFor_FailsModules()
    {
        var folder = Write(c => c with
        {
            Weights = c.RequireAdapter() with
            {
                Tensors =
                [
                    .. c.RequireAdapter().Tensors,
                    .. c.RequireAdapter().Tensors
                        .Where(t => t.Name.Contains("layers.1.self_attn.q_proj", StringComparison.Ordinal))
                        .Select(t => t with { Name = LoraAdapter.NamePrefix + "model.layers.2" + t.Name[31..] }),
                ],
            },
        });
        Assert.Equal(2, Failed(Validator.Validate(folder, _base), "modules").Length);
    }

    [Fact]
    public void Validate_WrongShape_FailsModules()
    {
        var folder = Write(c => c with
        {
            Weights = c.RequireAdapter() with
            {
                Tensors =
                [
                    .. c.RequireAdapter().Tensors.Select(
                        t => t.Name == LoraAdapter.NameOfB("model.layers.0.self_attn.k_proj")
                            ? t with { Rows = 64, Data = t.Data[..(64 * 8)] }
                            : t),
                ],
            },
        });
        var finding = One(Validator.Validate(folder, _base), "modules");
        Assert.Equal(("[128, 8]", "[64, 8]"), (finding.Expected, finding.Found));
        Assert.Equal(CheckStatus.Fail, finding.Status);
    }

    [Fact]
    public void Validate_RankOfTheConfigChanged_FailsRank()
    {
        var folder = Write(c => c);
        Replace(Path.Combine(folder, AdapterFileNames.Config), "\"r\": 8", "\"r\": 4");
        Assert.Equal("rank 4 in every tensor", Failed(Validator.Validate(folder, _base), "rank")[0].Expected);
    }

    [Fact]
    public void Validate_AlphaZero_FailsRank()
    {
        var folder = Write(c =>
            c with { Weights = c.RequireAdapter() with { Config = c.RequireAdapter().Config with { Alpha = 0 } } });
        Assert.Equal("0", Failed(Validator.Validate(folder, _base), "rank")[0].Found);
    }

    [Fact]
    public void Validate_WrongBase_FailsBaseModel()
    {
        var report = Validator.Validate(Write(c => c), Goldens.At("qwen2-tied"));
        Assert.NotEmpty(Failed(report, "base model"));
    }

    [Fact]
    public void Validate_NoBase_WarnsThatItWasNotCompared()
    {
        var report = Validator.Validate(Write(c => c), null);
        Assert.True(report.Passed);
        Assert.Equal(CheckStatus.Warn, One(report, "modules").Status);
        Assert.Equal(CheckStatus.Warn, One(report, "base model").Status);
    }

    [Fact]
    public void Validate_StatesOfDifferentSteps_FailProvenance()
    {
        var folder = Write(c => c);
        Replace(Path.Combine(folder, TrainerState.FileName), "\"global_step\": 4", "\"global_step\": 5");
        Assert.NotEmpty(Failed(Validator.Validate(folder, _base), "provenance"));
    }

    [Fact]
    public void Validate_LossNotANumberAtTheEnd_FailsProvenance()
    {
        var folder = Write(c => c with
        {
            State = c.State with { LogHistory = [LogEntry.Train(4, 1, double.NaN, 1, 1)] },
        });
        var finding = Failed(Validator.Validate(folder, _base), "provenance")[0];
        Assert.Contains("not a number", finding.Found, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_AdapterOfPeftAlone_FailsForWantOfAManifestAndWarnsOfItsOrigin()
    {
        var report = Validator.Validate(Goldens.At("train-nf4-bf16-adamw", "final"), _base);
        Assert.NotEmpty(Failed(report, "files"));
        Assert.Equal(CheckStatus.Warn, One(report, "provenance").Status);
        Assert.Equal(CheckStatus.Warn, One(report, "base model").Status);
        Assert.Equal(CheckStatus.Pass, One(report, "modules").Status);
    }

    [Theory]
    [InlineData(1.5, 1.5, 0, CheckStatus.Pass)]
    [InlineData(1.5, 1.5000001, 1e-6, CheckStatus.Pass)]
    [InlineData(1.5, 1.51, 1e-6, CheckStatus.Fail)]
    [InlineData(1.5, double.NaN, 1, CheckStatus.Fail)]
    [InlineData(double.NaN, 1.5, 1, CheckStatus.Fail)]
    public void EvalReproduces_RecordedAndFound_AreCompared(
        double recorded, double found, double tolerance, CheckStatus status)
    {
        var check = new EvalReproducesCheck(recorded, () => found, tolerance, "same device, same order of sums");
        var finding = One(Validator.Validate(Write(c => c), _base, [check]), check.Name);
        Assert.Equal(status, finding.Status);
        Assert.Contains("same order of sums", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void EvalReproduces_RecordedLoss_IsTheOneOfTheCheckpointsStep()
    {
        var history = new[] { LogEntry.Evaluation(2, 1, 2.5, 1, 1, 1), LogEntry.Evaluation(4, 1, 1.25, 1, 1, 1) };
        var folder = Write(c => c with { State = c.State with { LogHistory = history } });
        Assert.Equal(1.25, EvalReproducesCheck.RecordedLoss(folder));
        folder = Write(c => c with { State = c.State with { LogHistory = [history[0]] } });
        Assert.Null(EvalReproducesCheck.RecordedLoss(folder));
    }

    [Theory]
    [InlineData("ls", true, "pwd", true, true, CheckStatus.Pass)]
    [InlineData("ls", true, "pwd", false, true, CheckStatus.Warn)]
    [InlineData("ls", false, "pwd", false, true, CheckStatus.Fail)]
    [InlineData("ls", false, "pwd", false, false, CheckStatus.Warn)]
    [InlineData("ls", true, " ", true, true, CheckStatus.Fail)]
    public void Samples_TextsAndEnds_AreJudged(
        string a, bool aEnds, string b, bool bEnds, bool mustEnd, CheckStatus status)
    {
        var check = new SamplesCheck(() => [new("list files", a, 2, aEnds), new("where am I", b, 3, bEnds)], mustEnd);
        var finding = One(Validator.Validate(Write(c => c), _base, [check]), check.Name);
        Assert.Equal(status, finding.Status);
        Assert.Contains("> list files\n" + a, finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_FilesFailed_EngineChecksDoNotRun()
    {
        var folder = Write(c => c);
        File.Delete(Path.Combine(folder, "README.md"));
        var ran = false;
        var check = new SamplesCheck(() =>
        {
            ran = true;
            return [];
        });
        var finding = One(Validator.Validate(folder, _base, [check]), check.Name);
        Assert.False(ran);
        Assert.Equal(CheckStatus.Warn, finding.Status);
    }

    [Fact]
    public void Report_EveryFormat_ParsesAndAgrees()
    {
        var report = new ValidationReport("out/checkpoint-4", null,
        [
            new("a", CheckStatus.Pass, "x", "y"),
            new("a", CheckStatus.Fail, "x | y", "<&\u0001\ud83d\ude00\ud83d", "one\n```\ntwo"),
            new("b", CheckStatus.Warn, "x", "y", "z"),
        ]);
        Assert.False(report.Passed);
        using (var json = JsonDocument.Parse(report.ToJson()))
        {
            Assert.False(json.RootElement.GetProperty("passed").GetBoolean());
            Assert.Equal("warn", json.RootElement.GetProperty("findings")[2].GetProperty("status").GetString());
        }

        var suite = XDocument.Parse(report.ToJUnit()).Root!.Element("testsuite")!;
        Assert.Equal(("3", "1"), (suite.Attribute("tests")!.Value, suite.Attribute("failures")!.Value));
        Assert.Equal(["a", "a 2", "b"], suite.Elements("testcase").Select(e => e.Attribute("name")!.Value));
        Assert.Equal(
            "expected x | y, found <&\ufffd😀\ufffd",
            suite.Elements("testcase").ElementAt(1).Element("failure")!.Attribute("message")!.Value);
        var markdown = report.ToMarkdown();
        Assert.StartsWith("# Validation of out/checkpoint-4: FAILED\n", markdown, StringComparison.Ordinal);
        Assert.Contains("| a | fail | x \\| y |", markdown, StringComparison.Ordinal);
        Assert.Contains("\n## a\n\n    one\n    ```\n    two\n", markdown, StringComparison.Ordinal);
        report.Write(_folder["reports"]);
        Assert.Equal(3, Directory.GetFiles(_folder["reports"]).Length);
    }

    private static Finding One(ValidationReport report, string check) =>
        Assert.Single(report.Findings, f => f.Name == check);

    private static Finding[] Failed(ValidationReport report, string check) =>
        [.. report.Findings.Where(f => f.Name == check && f.Status == CheckStatus.Fail)];

    private static void Replace(string path, string from, string to)
    {
        var text = File.ReadAllText(path);
        Assert.Contains(from, text, StringComparison.Ordinal);
        File.WriteAllText(path, text.Replace(from, to, StringComparison.Ordinal));
    }

    private static void Zero((string Name, float[] Data) tensor, string part)
    {
        if (tensor.Name.Contains(part, StringComparison.Ordinal))
        {
            Array.Clear(tensor.Data);
        }
    }

    private static LoraAdapter Change(LoraAdapter adapter, Action<(string Name, float[] Data)> change) => adapter with
    {
        Tensors =
        [
            .. adapter.Tensors.Select(t =>
            {
                var data = t.Data.ToArray();
                change((t.Name, data));
                return t with { Data = data };
            }),
        ],
    };

    private string Write(Func<CheckpointContent, CheckpointContent> change)
    {
        var content = Contents.At(4);
        content = content with
        {
            Weights = Contents.GoldenAdapter(),
            Run = content.Run with { BaseModelFingerprint = ModelFingerprint.Compute(_base) },
        };
        using var store = CheckpointStore.OpenForWriting(_folder.Path);
        return store.Save(change(content)).Path;
    }
}
