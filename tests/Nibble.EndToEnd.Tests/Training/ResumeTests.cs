using Nibble.Checkpoints;
using Nibble.Training;

namespace Nibble.EndToEnd.Tests.Training;

/// <summary>A run that stopped and resumed is the run that did not stop, bit by bit.</summary>
public sealed class ResumeTests
{
    [Theory]
    [InlineData("adamw_8bit", 3)]
    [InlineData("adamw_torch", 5)]
    public void Resume_AfterAnInterruption_GivesTheBitsOfTheUninterruptedRun(string optimizer, int stopAfter)
    {
        using var whole = new ExampleRun().Set("optimizer", optimizer);
        var wholeLosses = new LossRecorder();
        whole.Run(CancellationToken.None, wholeLosses);

        using var cut = new ExampleRun().Set("optimizer", optimizer);
        using var stop = new CancellationTokenSource();
        var firstPart = new LossRecorder(stop, stopAfter);
        var interrupted = cut.Run(stop.Token, firstPart);
        Assert.Equal(TrainingOutcome.Interrupted, interrupted.Outcome);
        Assert.Equal(stopAfter, interrupted.Steps);

        var secondPart = new LossRecorder();
        var resumed = cut.Set("resume_from_checkpoint", interrupted.AdapterFolder)
            .Run(CancellationToken.None, secondPart);
        Assert.Equal(TrainingOutcome.Completed, resumed.Outcome);
        Assert.Equal(wholeLosses.Losses, [.. firstPart.Losses, .. secondPart.Losses]);
        Assert.Equal(File.ReadAllBytes(whole.AdapterFile), File.ReadAllBytes(cut.AdapterFile));
    }

    [Fact]
    public void AutoResume_WithADamagedNewestCheckpoint_TakesTheOneBefore()
    {
        using var whole = new ExampleRun();
        whole.Run(CancellationToken.None);

        using var cut = new ExampleRun();
        using var stop = new CancellationTokenSource();
        cut.Run(stop.Token, new LossRecorder(stop, 4));
        var newest = Path.Combine(cut.Output, "checkpoint-4", CheckpointStore.OptimizerFileName);
        var bytes = File.ReadAllBytes(newest);
        bytes[^1] ^= 1;
        File.WriteAllBytes(newest, bytes);

        var rest = new LossRecorder();
        cut.Set("auto_resume_from_checkpoints", "true").Run(CancellationToken.None, rest);
        Assert.Equal(6, rest.Losses.Count);
        Assert.Equal(File.ReadAllBytes(whole.AdapterFile), File.ReadAllBytes(cut.AdapterFile));
    }

    [Fact]
    public void Resume_WithOtherData_IsRefused()
    {
        using var run = new ExampleRun();
        using var stop = new CancellationTokenSource();
        var interrupted = run.Run(stop.Token, new LossRecorder(stop, 2));
        var error = Assert.Throws<CheckpointException>(() => run
            .Set("resume_from_checkpoint", interrupted.AdapterFolder)
            .Set("datasets.0.path", Path.Combine(ExampleRun.Root, "examples", "nl2bash", "val.jsonl"))
            .Run(CancellationToken.None));
        Assert.Contains("data hash", error.Message, StringComparison.Ordinal);
    }
}
