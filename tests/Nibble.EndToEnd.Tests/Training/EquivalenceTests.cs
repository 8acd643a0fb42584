namespace Nibble.EndToEnd.Tests.Training;

/// <summary>Descriptions of a step that do not change its gradient do not change the run.</summary>
public sealed class EquivalenceTests
{
    // Sums run over the same tokens in another order: F32 rounding, grown over eight steps of Adam.
    private const double Rounding = 2e-4;

    [Theory]
    [InlineData("1", "4")]
    [InlineData("4", "1")]
    public void MicroBatchesAndAccumulation_WithTheSameRowsPerStep_GiveTheSameLosses(
        string microBatch, string accumulation)
    {
        using var reference = new ExampleRun();
        var expected = new LossRecorder();
        reference.Run(CancellationToken.None, expected);

        using var other = new ExampleRun()
            .Set("micro_batch_size", microBatch).Set("gradient_accumulation_steps", accumulation);
        var actual = new LossRecorder();
        other.Run(CancellationToken.None, actual);
        AssertClose(expected.Losses, actual.Losses);
    }

    [Fact]
    public void Recomputation_GivesTheSameBits()
    {
        using var kept = new ExampleRun().Set("nibble.recompute", "never");
        kept.Run(CancellationToken.None);
        using var recomputed = new ExampleRun().Set("nibble.recompute", "always");
        recomputed.Run(CancellationToken.None);
        Assert.Equal(File.ReadAllBytes(kept.AdapterFile), File.ReadAllBytes(recomputed.AdapterFile));
    }

    [Fact]
    public void Threads_GiveTheSameBits()
    {
        using var one = new ExampleRun().Set("nibble.threads", "1");
        one.Run(CancellationToken.None);
        using var two = new ExampleRun().Set("nibble.threads", "2");
        two.Run(CancellationToken.None);
        Assert.Equal(File.ReadAllBytes(one.AdapterFile), File.ReadAllBytes(two.AdapterFile));
    }

    [Fact]
    public void TenLosses_FollowTheRecordedOnes()
    {
        using var run = new ExampleRun().Set("max_steps", "10");
        var losses = new LossRecorder();
        run.Run(CancellationToken.None, losses);
        var path = Path.Combine(ExampleRun.Root, "tests", "goldens", "example-losses.expected");
        if (Environment.GetEnvironmentVariable("NIBBLE_REGENERATE") == "1")
        {
            File.WriteAllLines(path, losses.Losses.Select(l => l.ToString("R")));
        }

        AssertClose([.. File.ReadAllLines(path).Select(double.Parse)], losses.Losses);
    }

    private static void AssertClose(List<double> expected, List<double> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        for (var i = 0; i < expected.Count; i++)
        {
            Assert.True(
                Math.Abs(actual[i] / expected[i] - 1) < Rounding,
                $"step {i + 1}: expected {expected[i]:R}, got {actual[i]:R}");
        }
    }
}
