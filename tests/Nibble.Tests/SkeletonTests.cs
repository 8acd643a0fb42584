namespace Nibble.Tests;

public sealed class SkeletonTests
{
    [Fact]
    public void Runner_RunsThisProject() => Assert.Equal(1, 1);
}
