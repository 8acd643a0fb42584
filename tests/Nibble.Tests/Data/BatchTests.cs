using CsCheck;
using Nibble.Data;

namespace Nibble.Tests.Data;

public sealed class BatchTests
{
    private static readonly Gen<Sample[]> SampleLists =
        Gen.Select(Gen.Int[0, 1000], Gen.Bool).Array[1, 40].Select(tokens => new Sample(
            [.. tokens.Select(t => t.Item1)], [.. tokens.Select(t => t.Item2 ? t.Item1 : Sample.Masked)],
                "row")).Array[1, 12];

    [Fact]
    public void Batch_AnySamples_LaysThemSideBySide() => SampleLists.Sample(samples =>
    {
        var batch = new Batch(samples);
        Assert.Equal(samples.SelectMany(sample => sample.InputIds), batch.InputIds);
        Assert.Equal(samples.SelectMany(sample => Enumerable.Range(0, sample.InputIds.Length)), batch.Positions);
        Assert.Equal(samples.Length + 1, batch.CuSeqlens.Length);
        Assert.Equal(batch.InputIds.Length, batch.CuSeqlens[^1]);
        Assert.Equal(samples.Max(sample => sample.InputIds.Length), batch.LongestSample);
    });

    [Fact]
    public void Batch_AnySamples_ShiftsTargetsInsideEachSampleOnly() => SampleLists.Sample(samples =>
    {
        var batch = new Batch(samples);
        for (var s = 0; s < samples.Length; s++)
        {
            var (start, end) = (batch.CuSeqlens[s], batch.CuSeqlens[s + 1]);
            Assert.Equal(Sample.Masked, batch.Targets[end - 1]);
            Assert.Equal(samples[s].Labels[1..], batch.Targets[start..(end - 1)]);
        }

        Assert.Equal(batch.Targets.Count(target => target != Sample.Masked), batch.TrainedTokens);
        Assert.Equal(samples.Sum(sample => sample.TrainedTokens), batch.TrainedTokens);
    });
}
