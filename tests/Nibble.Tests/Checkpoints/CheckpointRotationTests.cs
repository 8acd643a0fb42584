using CsCheck;
using Nibble.Checkpoints;

namespace Nibble.Tests.Checkpoints;

public sealed class CheckpointRotationTests
{
    private static readonly DateTime _start = new(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    [Fact]
    public void Choose_MoreThanTheLimit_DeletesTheOldest() =>
        Assert.Equal([1, 2], Chosen([(3, 30), (1, 10), (2, 20), (4, 40)], 2, null));

    [Fact]
    public void Choose_WithinTheLimitOrNone_DeletesNothing()
    {
        Assert.Empty(Chosen([(1, 10), (2, 20)], 2, null));
        Assert.Empty(Chosen([(1, 10), (2, 20)], null, null));
    }

    [Fact]
    public void Choose_BestIsOldest_IsProtected() =>
        Assert.Equal([2, 3], Chosen([(1, 10), (2, 20), (3, 30), (4, 40)], 2, 1));

    [Fact]
    public void Choose_LimitOneWithAnotherBest_KeepsTwo()
    {
        Assert.Equal([2], Chosen([(1, 10), (2, 20), (3, 30)], 1, 1));
        Assert.Equal([1, 2], Chosen([(1, 10), (2, 20), (3, 30)], 1, 3));
        Assert.Equal([1, 2], Chosen([(1, 10), (2, 20), (3, 30)], 1, 99));
    }

    [Fact]
    public void Choose_FolderOfAnEarlierRun_GoesByTimeNotNumber() =>
        Assert.Equal([900], Chosen([(900, 10), (5, 100), (10, 200)], 2, null));

    [Fact]
    public void Choose_TimesThatSayNothing_GoesByNumber() =>
        Assert.Equal([9], Chosen([(10, 0.1), (9, 0.2), (11, 0.0)], 2, null));

    [Fact]
    public void Choose_LimitBelowOne_Throws() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Chosen([(1, 10)], 0, null));

    [Fact]
    public void Choose_AnyRun_KeepsNewestAndBestAndAtMostOneMoreThanTheLimit()
    {
        var cases =
            from count in Gen.Int[1, 8]
            from limit in Gen.Int[1, 5]
            from best in Gen.Int[0, 8]
            select (count, limit, best);
        cases.Sample(c =>
        {
            var all = Enumerable.Range(1, c.count).Select(i => (i, i * 10.0)).ToArray();
            var kept = all.Select(x => x.i).Except(Chosen(all, c.limit, c.best)).ToArray();
            Assert.Contains(c.count, kept);
            Assert.Equal(c.best >= 1 && c.best <= c.count, kept.Contains(c.best) && c.best >= 1);
            var expected = c.limit == 1 && c.best >= 1 && c.best < c.count ? 2 : c.limit;
            Assert.Equal(Math.Min(c.count, expected), kept.Length);
        });
    }

    [Fact]
    public void Rotate_Store_DeletesFoldersWhole()
    {
        using var folder = new TemporaryFolder();
        using var store = CheckpointStore.OpenForWriting(folder.Path);
        foreach (var step in new[] { 1, 2, 3, 4 })
        {
            store.Save(Contents.At(step));
        }

        Assert.Equal(["checkpoint-2", "checkpoint-3"], store.Rotate(2, folder["checkpoint-1"] + "/"));
        Assert.Equal([1, 4], store.List().Select(c => c.Step));
        Assert.Equal(2, Directory.GetDirectories(folder.Path).Length);
    }

    private static IEnumerable<int> Chosen((int Step, double Seconds)[] checkpoints, int? limit, int? best) =>
        CheckpointRotation.Choose(
                [
                    .. checkpoints.Select(
                        c => new CheckpointInfo(c.Step, $"/x/checkpoint-{c.Step}", _start.AddSeconds(c.Seconds))),
                ],
                limit,
                best is null ? null : $"checkpoint-{best}")
            .Select(c => c.Step);
}
