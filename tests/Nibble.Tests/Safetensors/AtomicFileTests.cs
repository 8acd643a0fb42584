using Nibble.Tensors;

namespace Nibble.Tests.Safetensors;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Commit_ReplacesTheOldFileInOneStep()
    {
        File.WriteAllText(_folder["a"], "old");
        using (var file = AtomicFile.Create(_folder["a"]))
        {
            file.Write(2, "w!"u8);
            file.Write(0, "ne"u8);
            Assert.Equal("old", File.ReadAllText(_folder["a"]));
            file.Commit();
        }

        Assert.Equal("new!", File.ReadAllText(_folder["a"]));
        Assert.Single(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Dispose_WithoutCommit_LeavesNoTrace()
    {
        using (var file = AtomicFile.Create(_folder["sub/a"]))
        {
            file.Write(0, "x"u8);
        }

        Assert.Empty(Directory.GetFiles(_folder["sub"]));
    }

    [Fact]
    public void SweepStale_RemovesWhatADeadProcessLeftAndSparesTheLiving()
    {
        File.WriteAllText(AtomicFile.TemporaryName(_folder["dead"]), "x");
        File.WriteAllText(_folder["kept"], "x");
        using var living = AtomicFile.Create(_folder["living"]);
        Assert.StartsWith(".dead.", Assert.Single(AtomicFile.SweepStale(_folder.Path)), StringComparison.Ordinal);
        living.Commit();
        Assert.Equal(["kept", "living"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName).Order());
        Assert.Empty(AtomicFile.SweepStale(_folder["absent"]));
    }

    [Fact]
    public void Copy_LargeFile_IsEqual()
    {
        var bytes = Enumerable.Range(0, 600_000).Select(i => (byte)(i * 31 >> 5)).ToArray();
        File.WriteAllBytes(_folder["a"], bytes);
        AtomicFile.Copy(_folder["a"], _folder["b"]);
        Assert.Equal(bytes, File.ReadAllBytes(_folder["b"]));
    }

    [Fact]
    public void Commit_TargetIsAFolder_SaysThePathAndLeavesNoTemporary()
    {
        Directory.CreateDirectory(_folder["a"]);
        var e = Assert.Throws<StorageException>(() => AtomicFile.WriteAllText(_folder["a"], "x"));
        Assert.Contains(_folder["a"], e.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Describe_NoSpaceReadOnlyAndOther_AreToldApart()
    {
        var full = OperatingSystem.IsWindows() ? unchecked((int)0x80070070) : 28;
        var e = StorageException.Describe(_folder["a"], new IOException("no space left on device", full));
        Assert.Equal(StorageFailure.Full, e.Failure);
        Assert.Contains("bytes free at", e.Message, StringComparison.Ordinal);
        Assert.StartsWith(_folder["a"], e.Message, StringComparison.Ordinal);
        Assert.Same(e, StorageException.Describe("elsewhere", e));
        Assert.Equal(
            StorageFailure.ReadOnly, StorageException.Describe("a", new UnauthorizedAccessException("no")).Failure);
        Assert.Equal(StorageFailure.Other, StorageException.Describe("a", new IOException("lightning")).Failure);
    }
}
