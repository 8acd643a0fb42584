using Nibble.Config;
using Nibble.EndToEnd.Tests.Cli;
using Nibble.Hosting.Answers;
using Nibble.Quality.Charts;
using Nibble.Quality.Study;
using Nibble.Quality.Verbs;

namespace Nibble.EndToEnd.Tests.Quality;

/// <summary>The study's arithmetic, configs, files and page.</summary>
public sealed class StudyTests
{
    // Sums of a few terms in binary64.
    private const double Rounding = 1e-9;

    [Fact]
    public void Estimate_OfThreeValues_HasStudentsInterval()
    {
        var estimate = Estimate.Of([1.0, 2.0, 3.0]);

        Assert.Equal((3, 2.0, 1.0), (estimate.Count, estimate.Mean, estimate.Deviation));
        // t(0.975, 2) = 4.303.
        Assert.Equal(4.303 / Math.Sqrt(3), estimate.HalfWidth, Rounding);
    }

    [Fact]
    public void Ratio_IsPairedBySeed_AndLeavesOutSeedsOfOneSide()
    {
        var ratio = Estimate.OfRatio(
            new Dictionary<int, double> { [1] = 1.1, [2] = 2.2, [4] = 9 },
            new Dictionary<int, double> { [1] = 1, [2] = 2, [3] = 5 });

        Assert.Equal(2, ratio.Count);
        Assert.Equal(1.1, ratio.Mean, Rounding);
        Assert.Equal(0, ratio.HalfWidth, Rounding);
        Assert.Throws<ArgumentException>(
            () => Estimate.OfRatio(new Dictionary<int, double> { [1] = 1 }, new Dictionary<int, double>()));
    }

    [Theory]
    [InlineData(new[] { 1.001, 1.002, 1.003 }, Verdict.Holds)]
    [InlineData(new[] { 0.98, 1.0, 1.02 }, Verdict.HoldsOnAverage)]
    [InlineData(new[] { 1.0, 1.02, 1.04 }, Verdict.FailsOnAverage)]
    [InlineData(new[] { 1.05, 1.051, 1.052 }, Verdict.Fails)]
    [InlineData(new[] { 1.0 }, Verdict.HoldsOnAverage)]
    internal void Verdict_NeedsTheWholeInterval(double[] ratios, Verdict expected) =>
        Assert.Equal(expected, Estimate.Of(ratios).AtMost(1.01));

    [Fact]
    public void Specs_HaveConfigsOfTheirOwnAndNamesOfTheirOwn()
    {
        using var folder = new TemporaryFolder();
        var setting = Setting(folder);
        var specs = RunSpec.Bases().Concat(RunSpec.Sweep()).Concat(RunSpec.Counting(2, _ => 1e-3)).ToList();

        Assert.Equal(specs.Count, specs.Select(s => s.Id).Distinct().Count());
        foreach (var spec in specs)
        {
            var config = ConfigLoader.Parse(setting.Yaml(spec), Path.Combine(folder.Path, "study.yml")).Config;
            Assert.Equal(spec.Method != "full", config.Lora is not null);
            Assert.Equal(
                spec.Method switch { "nf4" => WeightStorage.Nf4, "fp4" => WeightStorage.Fp4, _ => WeightStorage.Dense },
                config.Quantization.Storage);
            if (spec.Rank > 0)
            {
                Assert.Equal((spec.Rank, 2.0 * spec.Rank), (config.Lora!.Rank, config.Lora.Alpha));
                Assert.Equal(spec.Targets == RunSpec.AttentionOnly ? 4 : 7, config.Lora.TargetModules.Count);
            }

            Assert.Equal(
                Nibble.Quality.Study.Setting.RowsPerStep, config.Batch.MicroBatchSize * config.Batch.AccumulationSteps);
            Assert.Equal(
                spec.Method == "nf4",
                config.Quantization.Storage == WeightStorage.Nf4 && config.Quantization.DoubleQuantization);
        }
    }

    [Fact]
    public void HeldBackRows_AreAllTrainingRowsAndOverlapNone()
    {
        using var folder = new TemporaryFolder();
        var setting = Setting(folder);
        setting.Prepare();
        var train = File.ReadAllLines(Path.Combine(setting.Output, "sweep-train.jsonl"));
        var held = File.ReadAllLines(Path.Combine(setting.Output, "sweep-held-back.jsonl"));

        Assert.Equal(
            File.ReadAllLines(setting.Train).Order(StringComparer.Ordinal),
            train.Concat(held).Order(StringComparer.Ordinal));
        Assert.Equal(File.ReadAllLines(setting.Train).Length / Nibble.Quality.Study.Setting.HeldBackEvery, held.Length);
    }

    [Fact]
    public void Store_GivesBackWhatWasAdded_OfThisStudyAlone_AndPrefersSecondsMeasuredAlone()
    {
        using var folder = new TemporaryFolder();
        var (first, second) =
            (new ResultStore(folder.Path, "results-1-of-2"), new ResultStore(folder.Path, "results-2-of-2"));
        var result = Result("nf4", 8, 1, 2.0) with { IsShared = false, Seconds = 5 };
        first.Add(result);
        second.Add(result with { IsShared = true, Seconds = 50 });
        second.Add(Result("nf4", 16, 1, 2.0) with { Fingerprint = "another" });
        File.AppendAllText(Path.Combine(folder.Path, "results-2-of-2.jsonl"), "{\"half");

        var found = Assert.Single(first.Read("study")).Value;

        Assert.Equal((5.0, result.Spec, 2.0), (found.Seconds, found.Spec, found.FinalLoss));
        Assert.Equal(result.Answers, found.Answers);
    }

    [Fact]
    public void Rates_AreThoseOfTheLowestLossOnRowsHeldBack()
    {
        RunResult Tried(double rate, double loss) => Result("nf4", 16, 42, loss) with
        {
            Spec = new RunSpec(Part.Sweep, "nf4", 16, RunSpec.AllLinear, 42, rate),
        };

        var rates = StudyVerb.Rates(
            [Tried(1e-3, 2), Tried(2e-3, 1), Tried(4e-3, double.NaN), Result("lora", 8, 1, 0.1)]);

        Assert.Equal(new Dictionary<string, double> { ["nf4"] = 2e-3 }, rates);
    }

    [Fact]
    public void Page_SaysWhatTheResultsSay()
    {
        var results = new List<RunResult>();
        foreach (var seed in new[] { 1, 2, 3 })
        {
            var noise = 0.001 * seed;
            results.Add(Result("full", 0, seed, 2.0 + noise));
            results.Add(Result("nf4", 8, seed, 2.01 + noise));
            results.Add(Result("nf4", 64, seed, 1.8 + noise));
            results.Add(Result("fp4", 8, seed, 2.2 + noise));
        }

        var page = new StudyDocument(results, new Dictionary<string, double> { ["nf4"] = 2e-3 }, epochs: 8).Text();

        Assert.Contains(
            "**Within 1 % of full fine-tuning:** it does not hold in general. Of 3 comparisons 2 say yes, "
            + "1 say no, 0 are open.",
            page);
        Assert.Contains("The lowest is QLoRA, NF4, double quantisation at rank 64, 0.900 times the loss", page);
        Assert.Matches(
            @"\| QLoRA, NF4, double quantisation \|  \| 1\.005, [\d.]+ to [\d.]+: yes "
            + @"\|  \| 0\.900, [\d.]+ to [\d.]+: yes \|",
            page);
        Assert.Matches(@"\| QLoRA, FP4, no double quantisation \|  \| 1\.100, [\d.]+ to [\d.]+: no \|  \|  \|", page);
        Assert.Contains(
            "**Rank 8 is enough** (its loss at most 1 % above a higher rank's): it does not hold in general. "
            + "Of 1 comparisons",
            page);
        Assert.DoesNotContain("what four bits alone cost", page);
        Assert.Contains("| full fine-tuning |  | 2.0020 ± 0.0010 | 1 | ", page);
        Assert.DoesNotContain("LoRA, bf16 base", page);
    }

    [Fact]
    public void DocumentOfTheRepository_IsWhatItsResultsSay()
    {
        var docs = Path.Combine(Examples.Root, "docs");
        var json = File.ReadAllText(Path.Combine(docs, "quality.json")).ReplaceLineEndings("\n");
        var results = ResultStore.Parse(new StringReader(json));

        var page = new StudyDocument(results, StudyVerb.Rates(results), StudyVerb.DefaultEpochs).Text();

        Assert.Equal(
            File.ReadAllText(Path.Combine(docs, "quality.md")).ReplaceLineEndings("\n"), page.ReplaceLineEndings("\n"));
        Assert.Equal(json, ResultStore.Document(results));
    }

    [Fact]
    public void Curve_OfAFileWithARestartAndHalfALine_IsTheNewestRuns()
    {
        var curve = LossCurve.Read(
        [
            "{\"event\":\"start\"}", "{\"event\":\"log\",\"train/global_step\":10,\"train/loss\":9}",
            "{\"event\":\"start\"}",
            "{\"event\":\"log\",\"train/global_step\":0,\"eval/loss\":4}",
            "{\"event\":\"log\",\"train/global_step\":10,\"train/loss\":3}",
            "{\"event\":\"log\",\"train/global_step\":20,\"train/loss\":\"NaN\"}", "{\"event\":\"lo",
            "{\"event\":\"start\",\"resumed_from_step\":10}",
            "{\"event\":\"log\",\"train/global_step\":20,\"train/loss\":2}",
            "{\"event\":\"log\",\"train/global_step\":20,\"eval/loss\":2.5}",
        ]);

        Assert.Equal([new CurvePoint(10, 3), new CurvePoint(20, 2)], curve.Train);
        Assert.Equal([new CurvePoint(0, 4), new CurvePoint(20, 2.5)], curve.Eval);
        var svg = Picture.Svg(CurveChart.Draw("a run", curve));
        Assert.StartsWith("<?xml", svg);
        Assert.Contains("prefers-color-scheme: dark", svg);
        Assert.Contains(">a run</text>", svg);
    }

    [Fact]
    public void AnswerTable_ShowsRequestsAndRates_AndRefusesOtherRows()
    {
        string Line(int line, string request, string answer, bool exact) => $$"""
            {"origin":"rows.jsonl:{{line}}","prompt":"<|im_start|>user\n{{request}}<|im_end|>\n<|im_start|>assistant\n",
            "reference":"wc","answer":"{{answer}}","exact_match":{{(exact ? "true" : "false")}},
            "command_only":true,"same_program":false}
            """.ReplaceLineEndings("");

        var table = AnswersVerb.Table(
            [Line(3, "z", "z", false), Line(2, "y", "y", false), Line(1, "count a|b", "ls", false)],
            [Line(1, "count a|b", "x", false), Line(2, "y", "y", false), Line(3, "z", "a | b", true)], 2);

        Assert.Contains(
            "|---|---|---|---|\n| count a\\|b | `ls` | `x` | `wc` |\n| z | `z` | `a \\| b` | ✓ |\n\n", table);
        Assert.Contains(
            "fine-tuned: 33.3 % right to the last character, 0.0 % the right program, 100.0 % a command", table);
        Assert.Throws<InvalidDataException>(
            () => AnswersVerb.Table([Line(1, "a", "b", true)], [Line(1, "c", "b", true)], 5));
    }

    private static Setting Setting(TemporaryFolder folder)
    {
        var examples = Path.GetDirectoryName(Examples.Nl2Bash)!;
        return new Setting(
            Path.Combine(examples, "model"), Path.Combine(examples, "train.jsonl"), Path.Combine(examples, "val.jsonl"),
            Path.Combine(folder.Path, "study"), "cpu", 1);
    }

    private static RunResult Result(string method, int rank, int seed, double loss) => new()
    {
        Spec = new RunSpec(Part.Run, method, rank, rank > 0 ? RunSpec.AllLinear : "", seed, 1e-3),
        Fingerprint = "study",
        Device = "test",
        IsShared = false,
        Evals = [new EvalPoint(0, 7), new EvalPoint(10, loss)],
        Steps = 10,
        Tokens = 100,
        Answers = AnswerMetrics.Of([new Answer("rows:1", "q", "ls", "ls", 1, true)]),
    };
}
