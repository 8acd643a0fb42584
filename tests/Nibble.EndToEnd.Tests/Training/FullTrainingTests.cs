using System.Text.Json;
using Nibble.Checkpoints;
using Nibble.Hosting;
using Nibble.Models;
using Nibble.Tensors;
using Nibble.Training;
using Nibble.Validation;

namespace Nibble.EndToEnd.Tests.Training;

/// <summary>The example's rows with every weight trained, and with an adapter over unquantised weights.</summary>
public sealed class FullTrainingTests
{
    private static readonly string _base = Path.Combine(ExampleRun.Root, "examples", "nl2bash", "model");

    [Fact]
    public void Run_WithoutAdapter_WritesAModelFolderThatPassesTheGate()
    {
        using var run = Full();
        var result = run.Run(CancellationToken.None);
        Assert.Equal(TrainingOutcome.Completed, result.Outcome);
        Assert.True(
            result.EvalLossAfter < result.EvalLossBefore,
            $"{result.EvalLossBefore} before, {result.EvalLossAfter} after");
        AssertSound(result.Validation!);
        Assert.Contains(result.Validation!.Findings, f => f.Name == "eval reproduces");
        using var source = SafetensorsIndex.Open(_base);
        using var written = SafetensorsIndex.Open(run.Output);
        Assert.Equal(source.Names.Order(StringComparer.Ordinal), written.Names.Order(StringComparer.Ordinal));
        Assert.All(written.Names, n => Assert.Equal(source.Get(n).Entry.ToString(), written.Get(n).Entry.ToString()));
        Assert.Equal(ModelConfig.Load(_base).ParameterCount, ModelConfig.Load(run.Output).ParameterCount);
        Assert.True(File.Exists(Path.Combine(run.Output, "tokenizer.json")));
        Assert.False(File.Exists(run.AdapterFile));
        AssertSound(CheckpointValidation.Run(run.Output, new CheckpointValidationOptions()));
    }

    [Theory]
    [InlineData("adamw_8bit", 3)]
    [InlineData("adamw_torch", 5)]
    public void Resume_AfterAnInterruption_GivesTheBitsOfTheUninterruptedRun(string optimizer, int stopAfter)
    {
        using var whole = Full().Set("optimizer", optimizer);
        var wholeLosses = new LossRecorder();
        whole.Run(CancellationToken.None, wholeLosses);

        using var cut = Full().Set("optimizer", optimizer);
        using var stop = new CancellationTokenSource();
        var firstPart = new LossRecorder(stop, stopAfter);
        var interrupted = cut.Run(stop.Token, firstPart);
        Assert.Equal(TrainingOutcome.Interrupted, interrupted.Outcome);

        var secondPart = new LossRecorder();
        cut.Set("resume_from_checkpoint", interrupted.AdapterFolder).Run(CancellationToken.None, secondPart);
        Assert.Equal(wholeLosses.Losses, [.. firstPart.Losses, .. secondPart.Losses]);

        // The last checkpoint holds the masters and the moments, not only their rounded copies.
        foreach (var name in new[] { CheckpointStore.OptimizerFileName, FullModelFiles.Weights })
        {
            Assert.Equal(
                File.ReadAllBytes(Path.Combine(whole.Output, "checkpoint-8", name)),
                File.ReadAllBytes(Path.Combine(cut.Output, "checkpoint-8", name)));
        }
    }

    [Fact]
    public void Resume_OfAnAdapterRun_FromAWholeModel_IsRefused()
    {
        using var full = Full().Set("max_steps", "2");
        full.Run(CancellationToken.None);
        using var lora = new ExampleRun().Set("resume_from_checkpoint", Path.Combine(full.Output, "checkpoint-2"));
        Assert.Contains(
            "adapter", Assert.Throws<CheckpointException>(() => lora.Run(CancellationToken.None)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Run_IntoTheBaseModelsFolder_IsRefused()
    {
        using var run = Full().Set("base_model", Path.Combine(_base, "."));
        run.Set("output_dir", _base);
        Assert.Contains(
            "output_dir", Assert.Throws<ModelFormatException>(() => run.Run(CancellationToken.None)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Run_OfAnAdapterOverUnquantisedWeights_PassesTheGate()
    {
        using var run = new ExampleRun().Set("load_in_4bit", "false").Set("adapter", "lora");
        var result = run.Run(CancellationToken.None);
        Assert.True(
            result.EvalLossAfter < result.EvalLossBefore,
            $"{result.EvalLossBefore} before, {result.EvalLossAfter} after");
        AssertSound(result.Validation!);
        Assert.True(File.Exists(run.AdapterFile));
    }

    [Fact]
    public void Shards_WithAnIndex_ReadBackAsOneModel()
    {
        using var run = Full().Set("max_steps", "1");
        var folder = run.Folder;
        using (var source = SafetensorsIndex.Open(_base))
        {
            var tensors = source.Names.Order(StringComparer.Ordinal).Select(n =>
            {
                var values = source.ReadSingle(n);
                return new StateTensor(
                    n, DType.F32, 1, values.Length,
                    System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
            });
            var names = FullModelFiles.Write(folder, new FullModel(_base, [.. tensors]), shardBytes: 1 << 20);
            Assert.True(
                names.Count(n => n.StartsWith("model-", StringComparison.Ordinal)) > 1, string.Join(", ", names));
            using var index = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, FullModelFiles.Index)));
            Assert.Equal(source.Names.Count, index.RootElement.GetProperty("weight_map").EnumerateObject().Count());
        }

        Assert.Equal(ModelFingerprint.Compute(_base), ModelFingerprint.Compute(folder));
    }

    // Eight steps teach this model to lower its loss, and nothing worth saying yet.
    private static void AssertSound(ValidationReport report) => Assert.All(
        report.Findings.Where(f => f.Name != "samples"), f => Assert.True(f.Status == CheckStatus.Pass, f.ToString()));

    private static ExampleRun Full()
    {
        var run = new ExampleRun().Set("load_in_4bit", "false").Set("learning_rate", "0.0005");
        foreach (var key in new[] { "adapter", "lora_r", "lora_alpha", "lora_dropout", "lora_target_linear" })
        {
            run.Set(key, "null");
        }

        return run;
    }
}
