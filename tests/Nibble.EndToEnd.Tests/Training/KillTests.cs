using Nibble.EndToEnd.Tests.Cli;

namespace Nibble.EndToEnd.Tests.Training;

/// <summary>A run killed at any moment loses nothing: the next start goes on from the
/// newest whole checkpoint.</summary>
public sealed class KillTests
{
    private const int Kills = 20;

    [Fact]
    public void KilledTwentyTimes_ResumedEachTime_GivesTheBitsOfTheUninterruptedRun()
    {
        using var whole = new ExampleRun().Set("max_steps", "40");
        whole.Run(CancellationToken.None);

        using var killed = new ExampleRun().Set("max_steps", "40").Set("auto_resume_from_checkpoints", "true");
        var random = new Random(20);
        for (var i = 0; i < Kills; i++)
        {
            Kill(killed, random);
        }

        killed.Run(CancellationToken.None);
        Assert.Equal(File.ReadAllBytes(whole.AdapterFile), File.ReadAllBytes(killed.AdapterFile));
        Assert.DoesNotContain(
            Directory.EnumerateFileSystemEntries(killed.Output),
            e => e.Contains(".nibble-tmp", StringComparison.Ordinal));
    }

    // The moment is drawn over the time a process takes to come up and write some checkpoints; one that gets to the end
    // before it is killed is as good.
    private static void Kill(ExampleRun run, Random random)
    {
        using var process = NibbleProcess.Start(
            null,
            [
                "train", Path.Combine(ExampleRun.Root, "examples", "nl2bash", "qlora.yml"), "--plain",
                .. run.Arguments(),
            ]);
        var moment = TimeSpan.FromMilliseconds(random.Next(300, 2500));
        if (!process.WaitForExit(moment))
        {
            process.Kill();
            process.WaitForExit();
        }
    }
}
