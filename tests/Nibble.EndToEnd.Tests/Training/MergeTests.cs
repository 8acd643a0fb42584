using System.Text.Json;
using Nibble.Checkpoints;
using Nibble.Data;
using Nibble.Data.Tokenizers;
using Nibble.Hosting;
using Nibble.Validation;

namespace Nibble.EndToEnd.Tests.Training;

/// <summary>The example's adapter merged into its base, measured, and taken as a model again.</summary>
public sealed class MergeTests
{
    private const int Tokens = 150;

    [Fact]
    public void Run_AfterQlora_MeasuresThreeModelsAndTheGateAgrees()
    {
        using var run = new ExampleRun();
        run.Run(CancellationToken.None);
        var merged = Merge(run);
        Assert.Equal(Path.Combine(run.Output, ModelMerge.FolderName), merged.Folder);
        var measured = merged.Report.Measurement!;
        Assert.Equal(
            [MergeMeasurement.Trained, MergeMeasurement.Unmerged, MergeMeasurement.Merged],
            measured.Models.Select(m => m.Key));
        Assert.Equal("eval", measured.Rows);
        Assert.InRange(measured.Tokens, Tokens, Tokens + 100);

        // Rounding moves predictions by less than the four bits do, and both by something.
        Assert.InRange(measured.Rounding.Divergence, 1e-9, 0.2 * measured.Models[^1].FromTrained!.Divergence);
        Assert.InRange(measured.Rounding.SameTop, 0.97, 1);
        Assert.True(measured.Verdicts.Single(v => v.Name == "rounding").Passed, merged.Report.ToJson());
        Assert.Equal(merged.Report.ToJson(), MergeReport.Read(merged.Folder).ToJson());

        var report = CheckpointValidation.Run(merged.Folder, new CheckpointValidationOptions());
        Assert.Contains(report.Findings, f => f.Name == "eval reproduces");
        Assert.Equal(2, report.Findings.Count(f => f.Name == "merge"));
        Assert.All(
            report.Findings.Where(f => f.Name is not ("samples" or "merge")),
            f => Assert.True(f.Status == CheckStatus.Pass, f.ToString()));
    }

    [Fact]
    public void Run_AfterLoraOverFullPrecision_OnlyRounds()
    {
        using var run = new ExampleRun().Set("load_in_4bit", "false").Set("adapter", "lora");
        run.Run(CancellationToken.None);
        var merged = Merge(run);
        var measured = merged.Report.Measurement!;
        Assert.Equal(
            [MergeMeasurement.Trained, MergeMeasurement.Merged], measured.Models.Select(m => m.Key));
        Assert.Equal(measured.Rounding, measured.Models[1].FromTrained);
        Assert.True(merged.Passed, merged.Report.ToJson());

        var rows = Rows(run);
        var trained = Logits(run, run.Output, rows, dense: false);
        var result = Logits(run, merged.Folder, rows, dense: true);
        var (divergence, same, loss, positions) = (0.0, 0, 0.0, 0);
        foreach (var (row, r) in rows.Select((s, i) => (new Batch([s]), i)))
        {
            foreach (var (position, target) in row.TrainedPositions.Zip(row.TrainedTargets))
            {
                var (p, q) = (LogSoftmax(trained[r], position), LogSoftmax(result[r], position));
                divergence += p.Zip(q).Sum(v => Math.Exp(v.First) * (v.First - v.Second));
                same += Array.IndexOf(p, p.Max()) == Array.IndexOf(q, q.Max()) ? 1 : 0;
                loss -= q[target];
                positions++;
            }
        }

        // The measurement ran these rows side by side, this loop one by one: F32 sums in another order. It counts all
        // but 256 of 4,096 tokens as one, which can only lower the divergence.
        Assert.Equal(measured.Tokens, positions);
        Assert.Equal(loss / positions, measured.Loss(MergeMeasurement.Merged)!.Value, 1e-5);
        Assert.Equal(same / (double)positions, measured.Rounding.SameTop, 1e-9);
        Assert.InRange(measured.Rounding.Divergence, 0.9 * divergence / positions, 1.001 * divergence / positions);
    }

    [Fact]
    public void Run_TwiceOnOneAdapter_LeavesEqualFolders()
    {
        using var run = new ExampleRun().Set("max_steps", "2");
        run.Run(CancellationToken.None);
        var first = Merge(run);
        var second = Merge(run, o => o with { Output = Path.Combine(run.Folder, "again") });
        Assert.All(Directory.GetFiles(first.Folder), f => Assert.Equal(
            File.ReadAllBytes(f), File.ReadAllBytes(Path.Combine(second.Folder, Path.GetFileName(f)))));
    }

    [Fact]
    public void Run_WithoutTolerance_SaysNoAndTheGateToo()
    {
        // Long enough that the adapter makes up for the errors of four bits, which it then misses.
        using var run = new ExampleRun().Set("max_steps", "100").Set("eval_steps", "100")
            .Set("micro_batch_size", "4").Set("save_steps", "100");
        run.Run(CancellationToken.None);
        var merged = Merge(run, o => o with { Tolerance = 0, MeasuredTokens = 500 });
        Assert.False(merged.Passed, merged.Report.ToJson());
        Assert.True(merged.Report.Measurement!.Verdicts.Single(v => v.Name == "rounding").Passed);
        var report = CheckpointValidation.Run(merged.Folder, new CheckpointValidationOptions { FilesOnly = true });
        Assert.Contains(report.Findings, f => f.Name == "merge" && f.Status == CheckStatus.Fail);
    }

    [Fact]
    public void Run_OfAnAdapterThatTheGateRefuses_NeedsLeaveAndSaysSo()
    {
        using var run = new ExampleRun().Set("max_steps", "2");
        run.Run(CancellationToken.None);
        var verdict = Path.Combine(run.Output, ValidationReport.FileName);
        File.WriteAllText(verdict, File.ReadAllText(verdict).Replace(
            "\"passed\": true", "\"passed\": false", StringComparison.Ordinal));
        Assert.Contains(
            "--ungated", Assert.Throws<CheckpointException>(() => Merge(run)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(run.Output, ModelMerge.FolderName)));
        var merged = Merge(run, o => o with { Ungated = true });
        Assert.NotEmpty(merged.Report.Refusals);
        var report = CheckpointValidation.Run(merged.Folder, new CheckpointValidationOptions { FilesOnly = true });
        Assert.Contains(report.Findings, f => f.Name == "merge" && f.Status == CheckStatus.Fail);
    }

    [Fact]
    public void Run_OverAnotherBase_IsRefusedByItsFingerprint()
    {
        using var run = new ExampleRun().Set("max_steps", "2");
        run.Run(CancellationToken.None);
        var other = Path.Combine(run.Folder, "other");
        Directory.CreateDirectory(other);
        foreach (var file in Directory.GetFiles(Path.Combine(ExampleRun.Root, "examples", "nl2bash", "model")))
        {
            File.Copy(file, Path.Combine(other, Path.GetFileName(file)));
        }

        var weights = Path.Combine(other, FullModelFiles.Weights);
        var bytes = File.ReadAllBytes(weights);
        bytes[^1] ^= 1;
        File.WriteAllBytes(weights, bytes);
        run.Set("base_model", other);
        Assert.Contains(
            "fp1:", Assert.Throws<CheckpointException>(() => Merge(run)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_InterruptedWhileMeasuring_LeavesTheMergedModelUnmeasured()
    {
        using var run = new ExampleRun().Set("max_steps", "2");
        run.Run(CancellationToken.None);
        using var stop = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => Merge(
            run,
            o => o with
            {
                Stage = text =>
                {
                    if (text.StartsWith("measuring", StringComparison.Ordinal))
                    {
                        stop.Cancel();
                    }
                },
            },
            stop.Token));
        var folder = Path.Combine(run.Output, ModelMerge.FolderName);
        Assert.Null(MergeReport.Read(folder).Measurement);
        var report = CheckpointValidation.Run(folder, new CheckpointValidationOptions { FilesOnly = true });
        Assert.True(report.Passed, report.ToMarkdown());
        Assert.Contains(report.Findings, f => f.Name == "merge" && f.Status == CheckStatus.Warn);
    }

    [Fact]
    public void MergedModel_AsTheBaseOfAnotherRun_Trains()
    {
        using var run = new ExampleRun().Set("max_steps", "2");
        run.Run(CancellationToken.None);
        var merged = Merge(run, o => o with { MeasuredTokens = null });
        Assert.Null(merged.Report.Measurement);
        using var next = new ExampleRun().Set("max_steps", "2").Set("base_model", merged.Folder);
        var result = next.Run(CancellationToken.None);
        Assert.True(result.EvalLossAfter < result.EvalLossBefore);
        using var manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(merged.Folder, "manifest.json")));
        Assert.Equal(2, manifest.RootElement.GetProperty("global_step").GetInt32());
    }

    private static ModelMergeResult Merge(
        ExampleRun run, Func<ModelMergeOptions, ModelMergeOptions>? change = null,
        CancellationToken cancellation = default)
    {
        var options = new ModelMergeOptions { MeasuredTokens = Tokens };
        return ModelMerge.Run(run.Load(), change?.Invoke(options) ?? options, cancellation);
    }

    // The rows that a merge measures: from the first, until they have the tokens asked for.
    private static List<Sample> Rows(ExampleRun run)
    {
        var config = run.Load().Config;
        var rows = new List<Sample>();
        foreach (var row in DatasetBuilder.Build(config, HfTokenizer.Load(config.Tokenizer.Folder)).Eval)
        {
            if (rows.Sum(r => r.TrainedTokens) >= Tokens)
            {
                break;
            }

            rows.Add(row);
        }

        return rows;
    }

    private static List<float[][]> Logits(ExampleRun run, string folder, List<Sample> rows, bool dense)
    {
        var config = run.Load().Config;
        var options = AdapterRuntimeOptions.Of(config, folder);
        Assert.Equal(dense, AdapterRuntime.IsModel(folder));
        using var runtime = AdapterRuntime.Open(options);
        var vocabulary = runtime.Model.VocabularySize;
        return
        [
            .. rows.Select(r => runtime.Session.Decoder.Logits(new Batch([r]), runtime.Session.Arena)
                .Chunk(vocabulary).ToArray()),
        ];
    }

    private static double[] LogSoftmax(float[][] logits, int position)
    {
        var row = Array.ConvertAll(logits[position], v => (double)v);
        var most = row.Max();
        var sum = most + Math.Log(row.Sum(v => Math.Exp(v - most)));
        return Array.ConvertAll(row, v => v - sum);
    }
}
