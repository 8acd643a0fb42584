using Nibble.Cuda;

namespace Nibble.Ops.Tests;

public sealed class AttentionSplitsTests
{
    private const long Plenty = 1L << 40;

    [Fact]
    public void AttentionSplits_FewBlocks_GivesEveryHeadItsBlock() =>
        Assert.Equal(7, CudaBackend.AttentionSplits(20, 7, 1 << 20, Plenty, 132));

    [Fact]
    public void AttentionSplits_EnoughBlocks_DoesNotSplit() =>
        Assert.Equal(1, CudaBackend.AttentionSplits(528, 7, 1 << 20, Plenty, 132));

    [Fact]
    public void AttentionSplits_UnevenShares_TakesTheFewestPartsWithThatLongestShare() =>
        // Five parts of seven heads would have two heads in the longest, as four have.
        Assert.Equal(4, CudaBackend.AttentionSplits(110, 7, 1 << 20, Plenty, 132));

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 3)]
    public void AttentionSplits_LittleMemory_TakesWhatFits(int partsThatFit, int expected) =>
        Assert.Equal(expected, CudaBackend.AttentionSplits(20, 7, 1000, (partsThatFit * 1000) + 999, 132));

    [Fact]
    public void AttentionSplits_AnyGroup_LeavesNoPartEmpty()
    {
        for (var group = 1; group <= 16; group++)
        {
            for (var blocks = 1; blocks <= 600; blocks += 7)
            {
                Assert.InRange(CudaBackend.AttentionSplits(blocks, group, 1, Plenty, 132), 1, group);
            }
        }
    }
}
