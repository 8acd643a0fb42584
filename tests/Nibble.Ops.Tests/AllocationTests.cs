namespace Nibble.Ops.Tests;

/// <summary>A step calls thousands of ops: none may leave work for the garbage collector.</summary>
public sealed class AllocationTests
{
    [Fact]
    public void Cpu_EveryOpCalledAgain_AllocatesNothing()
    {
        using var cpu = TestBackends.Open(TestBackends.DefaultCpu);
        using var backend = new AllocationMeter(cpu);
        foreach (var opCase in OpCases.All.Where(c => c.Layout == Layout.Gapless))
        {
            backend.Case = opCase.Id;
            OpRunner.Run(opCase, backend);
        }

        Assert.NotEmpty(backend.CalledOps);
        Assert.Empty(backend.Allocations);
    }
}
