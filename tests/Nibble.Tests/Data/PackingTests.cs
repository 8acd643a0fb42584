using System.Runtime.InteropServices;
using System.Security.Cryptography;
using CsCheck;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;

namespace Nibble.Tests.Data;

public sealed class PackingTests
{
    private static readonly Gen<int[]> Lengths = Gen.Int[1, 64].Array[1, 300];

    [Fact]
    public void Permutations_EverySeedAndSize_AreThoseOfTorchAndNumpy()
    {
        foreach (var golden in DataFiles.Golden("permutations.json").GetProperty("cases").EnumerateArray())
        {
            var (seed, n) = (golden.GetProperty("seed").GetInt64(), golden.GetProperty("n").GetInt32());
            Assert.Equal(golden.GetProperty("randperm_sha256").GetString(), Hash(Permutations.Torch(n, seed)));
            Assert.Equal(golden.GetProperty("permutation_sha256").GetString(), Hash(Permutations.Numpy(n, seed)));
        }
    }

    [Fact]
    public void Torch_TenRows_GivesThePublishedOrders()
    {
        Assert.Equal([2, 6, 1, 8, 4, 5, 0, 9, 3, 7], Permutations.Torch(10, 42));
        Assert.Equal([8, 4, 9, 0, 5, 1, 6, 7, 2, 3], Permutations.Torch(10, 43));
        Assert.Equal([5, 6, 0, 7, 3, 2, 4, 9, 1, 8], Permutations.Numpy(10, 42));
    }

    [Fact]
    public void Pack_PublishedExample_FillsTheSameBins()
    {
        var bins = BinPacker.Pack([5, 3, 4, 2, 6, 1], [0, 1, 2, 3, 4, 5], 8);
        Assert.Equal(["0 1", "2 3 5", "4"], bins.Select(bin => string.Join(' ', bin.SampleIndices)));
    }

    [Fact]
    public void Pack_AnyLengths_AgreesWithTheNaiveFirstFit() =>
        Gen.Select(Lengths, Gen.Int[64, 400]).Sample((lengths, capacity) =>
    {
        var order = Permutations.Torch(lengths.Length, 7);
        var naive = new List<(int Room, List<int> Samples)>();
        foreach (var sample in order)
        {
            var bin = naive.FindIndex(open => open.Room >= lengths[sample] && open.Samples.Count < 200);
            if (bin < 0)
            {
                naive.Add((capacity, []));
                bin = naive.Count - 1;
            }

            naive[bin].Samples.Add(sample);
            naive[bin] = (naive[bin].Room - lengths[sample], naive[bin].Samples);
        }

        Assert.Equal(naive.Select(bin => bin.Samples.ToArray()),
            BinPacker.Pack(lengths, order, capacity).Select(bin => bin.SampleIndices));
    });

    [Fact]
    public void Pack_ManyTinySamples_StopsAtTwoHundredPerBin()
    {
        var bins = BinPacker.Pack(Enumerable.Repeat(1, 450).ToArray(), Enumerable.Range(0, 450).ToArray(), 1000);
        Assert.Equal([200, 200, 50], bins.Select(bin => bin.SampleIndices.Length));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void GetStep_OneEpoch_SeesEveryTokenOnce(bool packed) =>
        Gen.Select(Lengths, Gen.Int[1, 5], Gen.Int[1, 6], Gen.Int[0, 2]).Sample((lengths, micro, accumulation, epoch) =>
        {
            var order = Order(lengths, micro, accumulation, packed);
            var index = 0;
            while (order.GetStep(index).EpochAfter <= epoch)
            {
                index++;
            }

            var seen = new List<int>();
            OptimizerStep step;
            do
            {
                step = order.GetStep(index++);
                Assert.InRange(step.MicroBatches.Count, 1, accumulation);
                foreach (var batch in step.MicroBatches)
                {
                    Assert.InRange(batch.SampleIndices.Sum(i => lengths[i]), 1, packed ? micro * 64 : int.MaxValue);
                    seen.AddRange(batch.SampleIndices);
                }
            }
            while (!step.EndsEpoch);

            Assert.Equal(epoch + 1, step.EpochAfter);
            Assert.Equal(Enumerable.Range(0, lengths.Length), seen.Order());
        }, iter: 100);

    [Fact]
    public void GetStep_RandomAccess_AgreesWithReadingInOrder() =>
        Gen.Select(Lengths, Gen.Int[1, 4], Gen.Int[1, 5], Gen.Bool, Gen.Int[0, 60])
            .Sample((lengths, micro, accumulation, packed, at) =>
        {
            var fresh = Order(lengths, micro, accumulation, packed).GetStep(at);
            var order = Order(lengths, micro, accumulation, packed);
            OptimizerStep read = order.GetStep(0);
            for (var i = 1; i <= at; i++)
            {
                read = order.GetStep(i);
            }

            Assert.Equal(read.MicroBatches.SelectMany(b => b.SampleIndices),
                fresh.MicroBatches.SelectMany(b => b.SampleIndices));
            Assert.Equal((read.EpochAfter, read.EndsEpoch), (fresh.EpochAfter, fresh.EndsEpoch));
        }, iter: 50);

    [Fact]
    public void TotalSteps_ReferenceRun_IsAsTheTrainerCountsThem()
    {
        var rows = Enumerable.Repeat(80, 1388).ToArray();
        var byEpochs = TrainingOrder.Create(Samples(rows), Batch(1, 4, epochs: 1.5), Sequence(packed: false), 42);
        Assert.Equal((521, 347), (byEpochs.TotalSteps, byEpochs.StepsPerEpoch));
        Assert.Equal(500, TrainingOrder.Create(Samples(rows), Batch(1, 4, 1, 500), Sequence(false), 42).TotalSteps);
        Assert.Equal(Permutations.Torch(1388, 42)[..4],
            byEpochs.GetStep(0).MicroBatches.SelectMany(b => b.SampleIndices));
        Assert.Equal(Permutations.Torch(1388, 43)[..4],
            byEpochs.GetStep(347).MicroBatches.SelectMany(b => b.SampleIndices));
    }

    [Fact]
    public void GetStep_LastWindowOfAnEpoch_IsShort()
    {
        var order = Order(Enumerable.Repeat(5, 10).ToArray(), micro: 1, accumulation: 4, packed: false);
        Assert.Equal(3, order.StepsPerEpoch);
        var last = order.GetStep(2);
        Assert.Equal((2, true, 1.0), (last.MicroBatches.Count, last.EndsEpoch, last.EpochAfter));
        Assert.Equal(0.4, order.GetStep(0).EpochAfter);
        Assert.Equal(4, order.GetStep(3).MicroBatches.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void EvaluationBatches_AnySamples_HoldEachOnce(bool packed) => Lengths.Sample(lengths =>
    {
        var batches = EvaluationBatches.Create(Samples(lengths), Batch(1, 1, 1), Sequence(packed));
        Assert.Equal(Enumerable.Range(0, lengths.Length), batches.SelectMany(b => b.SampleIndices).Order());
    });

    [Fact]
    public void Create_NoSamples_IsRefused() =>
        Assert.Throws<DatasetException>(() => TrainingOrder.Create([], Batch(1, 1, 1), Sequence(false), 1));

    private static TrainingOrder Order(int[] lengths, int micro, int accumulation, bool packed) =>
        TrainingOrder.Create(Samples(lengths), Batch(micro, accumulation, 3), Sequence(packed), 42);

    private static Sample[] Samples(int[] lengths) =>
        [.. lengths.Select(length => new Sample(new int[length], new int[length], "row"))];

    private static BatchOptions Batch(int micro, int accumulation, double epochs, int? steps = null) =>
        new(micro, accumulation, 3, epochs, steps, LossNormalization.Token);

    private static SequenceOptions Sequence(bool packed) => new(64, 2, ExcessLength.Drop, packed, packed, packed, 0.05);

    private static string Hash(int[] order) =>
        Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(order.AsSpan())));
}
