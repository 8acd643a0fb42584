using System.Collections.Concurrent;
using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>
/// Every case of every op: value against the reference, two runs bit-equal, gradient against differences. A test is one
/// op on one backend; a failure lists each case with its worst element.
/// </summary>
public sealed class OpCaseTests
{
    private static readonly ConcurrentDictionary<(OpCase, DType), IReadOnlyList<OpOutput>> Expected = [];

    private static readonly IReadOnlyList<string> Ops = [.. OpCases.All.Select(c => c.Op).Distinct()];

    public static TheoryData<string, string> OnCpus() => Pairs(TestBackends.Cpus);

    public static TheoryData<string, string> OnTheCpu() => Pairs([TestBackends.DefaultCpu]);

    public static TheoryData<string, string> OnCards() => Pairs(TestBackends.Cards);

    public static TheoryData<string> Gradients() => [.. OpCases.All.Where(c => c.HasGradient).Select(c => c.Id)];

    [Theory]
    [MemberData(nameof(OnCpus))]
    public void Cpu_EveryCase_AgreesWithTheReference(string backend, string op) => CheckValues(backend, op);

    [Theory]
    [MemberData(nameof(OnTheCpu))]
    public void Cpu_EveryCaseTwice_GivesTheSameBits(string backend, string op) => CheckRepeat(backend, op);

    [Theory]
    [MemberData(nameof(OnCards))]
    public void Cuda_EveryCase_AgreesWithTheReference(string backend, string op) => CheckValues(backend, op);

    [Theory]
    [MemberData(nameof(OnCards))]
    public void Cuda_EveryCaseTwice_GivesTheSameBits(string backend, string op) => CheckRepeat(backend, op);

    [Theory]
    [MemberData(nameof(Gradients))]
    public void Backward_Claimed_AgreesWithDifferences(string id)
    {
        var result = OpCheck.Gradient(OpCases.All.Single(c => c.Id == id));
        Assert.True(result.Passed, result.ToString());
    }

    [Theory]
    [MemberData(nameof(OnTheCpu))]
    public void Cpu_ThreadCount_DoesNotChangeBits(string backend, string op)
    {
        using var one = TestBackends.OpenCpu(backend, 1);
        using var three = TestBackends.OpenCpu(backend, 3);
        Check(op, c => OpCheck.SameBits(c, one, three));
    }

    [Fact]
    public void Cases_All_HaveUniqueNames() =>
        Assert.Empty(OpCases.All.GroupBy(c => c.Id).Where(g => g.Count() > 1).Select(g => g.Key));

    [Fact]
    public void Contract_EveryOp_HasCases()
    {
        string[] notOps = ["Allocate", "Upload", "Download", "Zero", "Synchronize"];
        var ops = typeof(IBackend).GetMethods().Where(m => !m.IsSpecialName).Select(m => m.Name).Except(notOps);
        Assert.Equal(ops.Order(), Ops.Order());
    }

    private static TheoryData<string, string> Pairs(IReadOnlyList<string> backends)
    {
        var data = new TheoryData<string, string>();
        foreach (var backend in backends)
        {
            foreach (var op in Ops)
            {
                data.Add(backend, op);
            }
        }

        return data;
    }

    private static void CheckValues(string backend, string op)
    {
        using var device = TestBackends.Open(backend);
        Check(op, c => OpCheck.Values(
            c, device, Expected.GetOrAdd(
                (c, device.ActivationType), key => OpRunner.RunReference(key.Item1, key.Item2))));
    }

    private static void CheckRepeat(string backend, string op)
    {
        using var device = TestBackends.Open(backend);
        Check(op, c => OpCheck.SameBits(c, device, device));
    }

    private static void Check(string op, Func<OpCase, OpDifference> check)
    {
        var failures = OpCases.All.Where(c => c.Op == op).Select(check).Where(r => !r.Passed)
            .Select(r => r.ToString()).ToList();
        Assert.True(failures.Count == 0, $"{failures.Count} cases failed:\n{string.Join('\n', failures.Take(20))}");
    }
}
