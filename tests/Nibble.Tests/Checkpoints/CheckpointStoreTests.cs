using System.Diagnostics;
using CsCheck;
using Nibble.Checkpoints;
using Nibble.Tensors;

namespace Nibble.Tests.Checkpoints;

public sealed class CheckpointStoreTests : IDisposable
{
    private static readonly string[] _files =
    [
        "README.md", "adapter_config.json", "adapter_model.safetensors", "manifest.json", "optimizer.safetensors",
        "run_state.json", "trainer_state.json",
    ];

    private readonly TemporaryFolder _folder = new();
    private readonly TemporaryFolder _tokenizer = new();

    public void Dispose()
    {
        _folder.Dispose();
        _tokenizer.Dispose();
    }

    [Fact]
    public void Save_ThenLoad_IsIdentity()
    {
        File.WriteAllText(_tokenizer["tokenizer.json"], "{}");
        File.WriteAllText(_tokenizer["other.txt"], "not a tokenizer file");
        var content = Contents.At(5, _tokenizer);
        using var store = CheckpointStore.OpenForWriting(_folder.Path);
        var saved = store.Save(content);
        Assert.Equal(_folder["checkpoint-5"], saved.Path);
        Assert.Equal(
            _files.Append("tokenizer.json").Order(StringComparer.Ordinal), NamesIn(saved.Path));
        var back = CheckpointStore.Load(saved.Path);
        AssertEqual(content, back);
        Assert.Equal([Path.Combine(saved.Path, "tokenizer.json")], back.TokenizerFiles);
    }

    [Fact]
    public void SaveThenLoad_AnyOptimizerState_IsIdentity()
    {
        var tensors =
            (from type in Gen.Int[0, 2].Select(i => new[] { DType.F32, DType.U8, DType.BF16 }[i])
             from rows in Gen.Int[0, 3]
             from cols in Gen.Int[0, 40]
             from bytes in Gen.Byte.Array[rows * cols * type.Size()]
             select (type, rows, cols, bytes)).Array[0, 6];
        using var store = CheckpointStore.OpenForWriting(_folder.Path);
        tensors.Sample(
            state =>
            {
                var content = Contents.At(1) with
                {
                    Optimizer = [.. state.Select((t, i) => new StateTensor($"t{i}", t.type, t.rows, t.cols, t.bytes))],
                };
                AssertEqual(content, CheckpointStore.Load(store.Save(content).Path));
            },
            iter: 30,
            threads: 1);
        Assert.Equal(["checkpoint-1"], store.List().Select(c => c.Name));
    }

    [Fact]
    public void Save_SameStepAgain_ReplacesAndLeavesNothingElse()
    {
        using var store = CheckpointStore.OpenForWriting(_folder.Path);
        store.Save(Contents.At(5));
        var second = Contents.At(5);
        store.Save(second with { Run = second.Run with { TotalLoss = 99 } });
        Assert.Equal(99, CheckpointStore.Load(_folder["checkpoint-5"]).Run.TotalLoss);
        Assert.Equal([_folder["checkpoint-5"]], Directory.GetDirectories(_folder.Path));
    }

    [Fact]
    public void FindNewestValid_CrashAtAnyFile_IgnoresTheUnfinishedAndTheNextStartRemovesIt()
    {
        using (var store = CheckpointStore.OpenForWriting(_folder.Path))
        {
            store.Save(Contents.At(5));
            store.Save(Contents.At(6));
        }

        // What a process killed while writing checkpoint-6 leaves: the first k files under the temporary name.
        var complete = _folder["complete"];
        Directory.Move(_folder["checkpoint-6"], complete);
        for (var k = 0; k <= _files.Length; k++)
        {
            var temporary = AtomicFile.TemporaryName(_folder["checkpoint-6"]);
            Directory.CreateDirectory(temporary);
            foreach (var name in _files.Take(k))
            {
                File.Copy(Path.Combine(complete, name), Path.Combine(temporary, name));
            }

            File.WriteAllText(AtomicFile.TemporaryName(_folder["metrics"]), "half a file");
            var search = CheckpointStore.OpenForReading(_folder.Path).FindNewestValid();
            Assert.Equal("checkpoint-5", search.Valid!.Name);
            Assert.Empty(search.Damaged);
            using (CheckpointStore.OpenForWriting(_folder.Path))
            {
                Assert.Equal([".nibble.lock", "checkpoint-5", "complete"], NamesIn(_folder.Path));
            }

            Assert.Equal(["checkpoint-5", "complete"], NamesIn(_folder.Path));
        }
    }

    public static TheoryData<string, string> Damages => new()
    {
        { "adapter_model.safetensors", "flip" }, { "optimizer.safetensors", "flip" }, { "trainer_state.json", "flip" },
        { "run_state.json", "cut" }, { "README.md", "delete" }, { "adapter_config.json", "delete" },
        { "optimizer.safetensors", "cut" }, { "manifest.json", "delete" }, { "manifest.json", "cut" },
        { "manifest.json", "empty" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public void FindNewestValid_DamagedNewest_IsReportedAndTheOneBeforeReturned(string file, string damage)
    {
        using var store = CheckpointStore.OpenForWriting(_folder.Path);
        store.Save(Contents.At(5));
        store.Save(Contents.At(10));
        Damage(Path.Combine(_folder["checkpoint-10"], file), damage);
        var search = store.FindNewestValid();
        Assert.Equal("checkpoint-5", search.Valid!.Name);
        var damaged = Assert.Single(search.Damaged);
        Assert.Equal("checkpoint-10", damaged.Checkpoint.Name);
        Assert.Contains(file, damaged.Reason, StringComparison.Ordinal);
        Assert.Throws<CheckpointException>(() => CheckpointStore.Load(_folder["checkpoint-10"]));
        Assert.Equal(5, CheckpointStore.Load(search.Valid.Path).Run.Step);
    }

    [Fact]
    public void FindNewestValid_ModelOnlyNewest_IsNotResumedFrom()
    {
        using var store = CheckpointStore.OpenForWriting(_folder.Path);
        store.Save(Contents.At(5));
        store.Save(Contents.At(6) with { Optimizer = null });
        var search = store.FindNewestValid();
        Assert.Equal(5, search.Valid!.Step);
        Assert.Contains("no optimizer state", search.Damaged[0].Reason, StringComparison.Ordinal);
        Assert.Null(CheckpointStore.Load(_folder["checkpoint-6"]).Optimizer);
    }

    [Fact]
    public void FindNewestValid_NothingThere_FindsNothing()
    {
        Assert.Null(CheckpointStore.OpenForReading(_folder["absent"]).FindNewestValid().Valid);
        Directory.CreateDirectory(_folder["checkpoint-x"]);
        Directory.CreateDirectory(_folder["checkpoint-3"]);
        var search = CheckpointStore.OpenForReading(_folder.Path).FindNewestValid();
        Assert.Null(search.Valid);
        Assert.Equal("checkpoint-3", Assert.Single(search.Damaged).Checkpoint.Name);
    }

    [Theory]
    [InlineData("../secret")]
    [InlineData("/etc/passwd")]
    [InlineData("sub/file")]
    [InlineData("..")]
    [InlineData("C:file")]
    [InlineData("a\\\\b")]
    public void Load_ManifestThatLeavesTheFolder_IsRefused(string name)
    {
        using var store = CheckpointStore.OpenForWriting(_folder.Path);
        var path = Path.Combine(store.Save(Contents.At(1)).Path, CheckpointManifest.FileName);
        File.WriteAllText(
            path, File.ReadAllText(path).Replace("\"README.md\"", $"\"{name}\"", StringComparison.Ordinal));
        var e = Assert.Throws<CheckpointException>(() => CheckpointStore.Load(_folder["checkpoint-1"]));
        Assert.Contains("names of files in the folder", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SaveFinal_WritesAdapterTokenizerAndManifestIntoTheOutputFolder()
    {
        File.WriteAllText(_tokenizer["tokenizer.json"], "{}");
        using (var store = CheckpointStore.OpenForWriting(_folder.Path))
        {
            File.WriteAllText(_folder["metrics.jsonl"], "");
            store.SaveFinal(Contents.At(5, _tokenizer));
            store.SaveFinal(Contents.At(6, _tokenizer));
        }

        Assert.Equal(
            [.. _files.Where(f => f != "optimizer.safetensors").Append("metrics.jsonl").Append("tokenizer.json")
                .Order(StringComparer.Ordinal)],
            NamesIn(_folder.Path));
        Assert.Equal(6, CheckpointStore.Load(_folder.Path).Run.Step);
    }

    [Fact]
    public void OpenForWriting_FolderInUse_IsRefusedUntilReleased()
    {
        using (CheckpointStore.OpenForWriting(_folder.Path))
        {
            var e = Assert.Throws<CheckpointException>(() => CheckpointStore.OpenForWriting(_folder.Path));
            Assert.Contains("no other run", e.Message, StringComparison.Ordinal);
        }

        CheckpointStore.OpenForWriting(_folder.Path).Dispose();
        Assert.Throws<InvalidOperationException>(
            () => CheckpointStore.OpenForReading(_folder.Path).Save(Contents.At(1)));
    }

    [Fact]
    public void Save_ContentThatContradictsItself_LeavesNothing()
    {
        using var store = CheckpointStore.OpenForWriting(_folder.Path);
        var content = Contents.At(5);
        Assert.Throws<CheckpointException>(() => store.Save(content with { Run = content.Run with { Step = 6 } }));
        Assert.Throws<CheckpointException>(() => store.Save(content with
        {
            Optimizer = [new("m", DType.F32, 2, 2, new byte[4])],
        }));
        Assert.Throws<CheckpointException>(
            () => store.Save(content with { TokenizerFiles = [_tokenizer["gone.json"]] }));
        Assert.Empty(Directory.GetDirectories(_folder.Path));
    }

    [Fact]
    public void Save_DiskFull_SaysSoAndKeepsTheCheckpointBefore()
    {
        var mount = Directory.CreateDirectory(_folder["disk"]).FullName;
        if (!OperatingSystem.IsLinux() || Run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount) != 0)
        {
            Assert.Skip("mounting a small tmpfs needs Linux and the right to mount");
        }

        try
        {
            using var store = CheckpointStore.OpenForWriting(mount);
            store.Save(Contents.At(5));
            var e = Assert.Throws<CheckpointException>(() => store.Save(Contents.At(6) with
            {
                Optimizer = [new("m", DType.U8, 1, 1 << 20, new byte[1 << 20])],
            }));
            Assert.Contains("checkpoint-6 was not written", e.Message, StringComparison.Ordinal);
            Assert.Contains("disk is full", e.Message, StringComparison.Ordinal);
            Assert.Contains("bytes free", e.Message, StringComparison.Ordinal);
            Assert.Contains("checkpoint-5 is intact", e.Message, StringComparison.Ordinal);
            Assert.Equal([".nibble.lock", "checkpoint-5"], NamesIn(mount));
            Assert.Equal("checkpoint-5", store.FindNewestValid().Valid!.Name);
            store.Save(Contents.At(7));
        }
        finally
        {
            Run("umount", mount);
        }
    }

    [Fact]
    public void OpenForWriting_ReadOnlyFolder_SaysSo()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("folder permissions do not bind on Windows");
            return;
        }

        var folder = Directory.CreateDirectory(_folder["readonly"]).FullName;
        var mounted = Environment.IsPrivilegedProcess;
        if (mounted && Run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder) != 0)
        {
            Assert.Skip("permissions do not bind the superuser, who may not mount here either");
        }

        const UnixFileMode Read = UnixFileMode.UserRead | UnixFileMode.UserExecute;
        try
        {
            if (!mounted)
            {
                File.SetUnixFileMode(folder, Read);
            }

            var e = Assert.Throws<StorageException>(() => CheckpointStore.OpenForWriting(folder));
            Assert.Equal(StorageFailure.ReadOnly, e.Failure);
            Assert.Contains("read-only", e.Message, StringComparison.Ordinal);
        }
        finally
        {
            if (mounted)
            {
                Run("umount", folder);
            }
            else
            {
                File.SetUnixFileMode(folder, Read | UnixFileMode.UserWrite);
            }
        }
    }

    [Fact]
    public void OpenForWriting_PathBelowAFile_SaysThePath()
    {
        File.WriteAllText(_folder["file"], "");
        var e = Assert.Throws<StorageException>(() => CheckpointStore.OpenForWriting(_folder["file/out"]));
        Assert.StartsWith(_folder["file/out"], e.Message, StringComparison.Ordinal);
    }

    private static int Run(string program, params string[] arguments)
    {
        try
        {
            var start = new ProcessStartInfo(program, arguments)
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            };
            using var process = Process.Start(start)!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return -1;
        }
    }

    private static string[] NamesIn(string folder) =>
        [.. Directory.GetFileSystemEntries(folder).Select(p => Path.GetFileName(p)).Order(StringComparer.Ordinal)];

    private static void Damage(string path, string how)
    {
        var bytes = how == "delete" ? [] : File.ReadAllBytes(path);
        switch (how)
        {
            case "flip":
                bytes[^5] ^= 1;
                File.WriteAllBytes(path, bytes);
                break;
            case "cut":
                File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
                break;
            case "empty":
                File.WriteAllText(path, "{}");
                break;
            default:
                File.Delete(path);
                break;
        }
    }

    private static void AssertEqual(CheckpointContent expected, CheckpointContent actual)
    {
        Assert.Equal(expected.State.ToJson(), actual.State.ToJson());
        Assert.Equal(expected.Run, actual.Run with { Provenance = expected.Run.Provenance });
        Assert.Equal(expected.Run.Provenance, actual.Run.Provenance);
        Assert.Equal(
            expected.RequireAdapter().Tensors.Select(t => (t.Name, t.Rows, t.Cols, Convert.ToHexString(Bytes(t.Data)))),
            actual.RequireAdapter().Tensors.Select(t => (t.Name, t.Rows, t.Cols, Convert.ToHexString(Bytes(t.Data)))));
        Assert.Equal(
            expected.Optimizer!.OrderBy(t => t.Name, StringComparer.Ordinal)
                .Select(t => (t.Name, t.DType, t.Rows, t.Cols, Convert.ToHexString(t.ReadAll()))),
            actual.Optimizer!.Select(t => (t.Name, t.DType, t.Rows, t.Cols, Convert.ToHexString(t.ReadAll()))));
    }

    private static ReadOnlySpan<byte> Bytes(ReadOnlyMemory<float> values) =>
        System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.Span);
}
