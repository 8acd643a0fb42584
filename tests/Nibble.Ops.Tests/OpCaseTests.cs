namespace Nibble.Ops.Tests;

/// <summary>Every case of every op: value against the reference, gradient against differences, two runs bit-equal.</summary>
public sealed class OpCaseTests
{
    public static TheoryData<string, string> BackendsAndOps()
    {
        var data = new TheoryData<string, string>();
        foreach (var backend in TestBackends.Names)
        {
            foreach (var op in OpCases.All.Select(c => c.Op).Distinct())
            {
                data.Add(backend, op);
            }
        }

        return data;
    }

    public static TheoryData<string> Gradients() => [.. OpCases.All.Where(c => c.HasGradient).Select(c => c.Id)];

    [Theory]
    [MemberData(nameof(BackendsAndOps))]
    public void Op_EveryCase_AgreesWithTheReference(string backend, string op)
    {
        using var device = TestBackends.Open(backend);
        Check(op, c => OpCheck.Values(c, device));
    }

    [Theory]
    [MemberData(nameof(BackendsAndOps))]
    public void Op_EveryCaseTwice_GivesTheSameBits(string backend, string op)
    {
        using var device = TestBackends.Open(backend);
        Check(op, c => OpCheck.Repeat(c, device));
    }

    [Theory]
    [MemberData(nameof(Gradients))]
    public void Backward_Claimed_AgreesWithDifferences(string id)
    {
        var result = OpCheck.Gradient(OpCases.All.Single(c => c.Id == id));
        Assert.True(result.Passed, result.ToString());
    }

    [Fact]
    public void Cases_All_HaveUniqueNames() => Assert.Empty(OpCases.All.GroupBy(c => c.Id).Where(g => g.Count() > 1).Select(g => g.Key));

    [Fact]
    public void Contract_EveryOp_HasCases()
    {
        string[] notOps =
            ["Allocate", "Upload", "Download", "Zero", "Synchronize", "get_Name", "get_ActivationType", "get_DequantizationScratch",
             "set_DequantizationScratch", "get_NeedsDequantizationScratch"];
        var ops = typeof(Tensors.IBackend).GetMethods().Select(m => m.Name).Except(notOps);
        Assert.Equal(ops.Order(), OpCases.All.Select(c => c.Op).Distinct().Order());
    }

    private static void Check(string op, Func<OpCase, OpDifference> check)
    {
        var failures = OpCases.All.Where(c => c.Op == op).Select(check).Where(r => !r.Passed).Select(r => r.ToString()).ToList();
        Assert.True(failures.Count == 0, $"{failures.Count} cases failed:\n{string.Join('\n', failures.Take(20))}");
    }
}
