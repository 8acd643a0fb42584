using Nibble.Checkpoints;
using Nibble.Models;
using Nibble.Tensors;

namespace Nibble.Tests.Checkpoints.Merging;

public sealed class AdapterMergeRefusalTests
{
    [Fact]
    public void Open_AdapterOfAnotherBase_NamesModuleAndShapes()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        var other = Goldens.At("qwen2-tied");
        var refused = Assert.Throws<CheckpointException>(() => AdapterMerge.Open(other, merge.Adapter));
        Assert.Contains("model.layers.0.mlp.down_proj of shape [128,", refused.Message, StringComparison.Ordinal);
        Assert.Contains("an adapter for [256,", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.layers.7.self_attn.q_proj")]
    [InlineData("model.embed_tokens.q_proj")]
    public void Open_ModuleThatTheBaseHasNot_IsNamed(string module)
    {
        using var merge = new MergeCase("qwen2").WithAdapter(
            targets: ["q_proj"],
            change: t => t.Name.Contains("layers.1", StringComparison.Ordinal)
                ? t with
                {
                    Name = LoraAdapter.ParseName(t.Name)!.Value.IsA
                        ? LoraAdapter.NameOfA(module)
                        : LoraAdapter.NameOfB(module),
                }
                : t);
        var refused = Assert.Throws<CheckpointException>(() => AdapterMerge.Open(merge.Base, merge.Adapter));
        Assert.Contains(module, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_DoraAdapter_IsRefused()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        var path = Path.Combine(merge.Adapter, AdapterFileNames.Config);
        File.WriteAllText(path, File.ReadAllText(path).Replace(
            "\"use_dora\": false", "\"use_dora\": true", StringComparison.Ordinal));
        Assert.Contains(
            "use_dora",
            Assert.Throws<CheckpointException>(() => AdapterMerge.Open(merge.Base, merge.Adapter)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Write_OverAFolder_NeedsLeave()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        Directory.CreateDirectory(merge.Merged);
        var own = Path.Combine(merge.Merged, "mine.txt");
        File.WriteAllText(own, "mine");
        Assert.Contains(
            "--overwrite", Assert.Throws<CheckpointException>(() => merge.Merge()).Message, StringComparison.Ordinal);
        Assert.Equal("mine", File.ReadAllText(own));
        merge.Merge(change: o => o with { Overwrite = true });
        Assert.False(File.Exists(own));
        Assert.True(File.Exists(Path.Combine(merge.Merged, FullModelFiles.Weights)));
    }

    [Theory]
    [InlineData("base")]
    [InlineData("adapter")]
    [InlineData(".")]
    public void Write_OverBaseOrAdapter_IsRefusedEvenWithLeave(string folder)
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        Assert.Contains(
            "another folder", Assert.Throws<CheckpointException>(
                () => merge.Merge(merge[folder], o => o with { Overwrite = true })).Message, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(merge.Base, FullModelFiles.Weights)));
    }

    [Fact]
    public void Write_OnASmallDisk_IsRefusedBeforeAnythingIsWritten()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        var refused = Assert.Throws<CheckpointException>(
            () => merge.Merge(change: o => o with { FreeBytes = _ => 1 << 20 }));
        Assert.Contains("free space", refused.Message, StringComparison.Ordinal);
        AssertNothingLeft(merge);
    }

    [Fact]
    public void Write_Interrupted_LeavesNothing()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        using var opened = AdapterMerge.Open(merge.Base, merge.Adapter);
        using var stop = new CancellationTokenSource();
        var options = MergeCase.Options(merge.Base) with { Progress = new Stop(stop) };
        Assert.Throws<OperationCanceledException>(() => opened.Write(merge.Merged, options, stop.Token));
        AssertNothingLeft(merge);
    }

    [Fact]
    public void Write_AfterAKilledOne_RemovesWhatThatLeft()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        var stale = merge[".merged.0123456789ab.nibble-tmp"];
        Directory.CreateDirectory(stale);
        File.WriteAllText(Path.Combine(stale, ".nibble.lock"), "");
        File.WriteAllText(Path.Combine(stale, "model.safetensors"), "half");
        var living = merge[".merged.ba9876543210.nibble-tmp"];
        Directory.CreateDirectory(living);
        using (File.Open(Path.Combine(living, ".nibble.lock"), FileMode.Create, FileAccess.Write, FileShare.None))
        {
            merge.Merge();
            Assert.False(Directory.Exists(stale));
            Assert.True(Directory.Exists(living));
        }

        Assert.True(File.Exists(Path.Combine(merge.Merged, FullModelFiles.Weights)));
        Assert.False(File.Exists(Path.Combine(merge.Merged, ".nibble.lock")));
    }

    [Fact]
    public void Write_SumBeyondF16_IsRefusedWithItsPlace()
    {
        using var merge = new MergeCase("qwen2", SafetensorsType.F16).WithAdapter(
            rank: 1, alpha: 1, targets: ["o_proj"],
            change: t => t with { Data = LoraAdapter.ParseName(t.Name)!.Value.IsA ? Spike(t, 9) : Spike(t, 3) });
        var refused = Assert.Throws<CheckpointException>(() => merge.Merge());
        Assert.Contains("o_proj", refused.Message, StringComparison.Ordinal);
        Assert.Contains("[3, 9]", refused.Message, StringComparison.Ordinal);
        AssertNothingLeft(merge);

        static float[] Spike(LoraTensor tensor, int at)
        {
            var values = new float[tensor.Data.Length];
            values[at] = 300;
            return values;
        }
    }

    [Fact]
    public void Write_BaseWithNotANumber_IsRefused()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        const string Name = "model.layers.1.mlp.up_proj.weight";
        long position;
        using (var weights = SafetensorsIndex.Open(merge.Base))
        {
            position = weights.Get(Name).Entry.Offset + (4 * 1000);
        }

        using (var file = File.OpenWrite(Path.Combine(merge.Base, FullModelFiles.Weights)))
        {
            file.Position = position;
            file.Write(BitConverter.GetBytes(float.NaN));
        }

        Assert.Contains(
            "element 1000", Assert.Throws<ModelFormatException>(() => merge.Merge()).Message,
            StringComparison.Ordinal);
        AssertNothingLeft(merge);
    }

    private static void AssertNothingLeft(MergeCase merge) => Assert.Equal(
        ["adapter", "base"],
        Directory.GetFileSystemEntries(merge["."]).Select(p => Path.GetFileName(p)).Order(StringComparer.Ordinal));

    private sealed class Stop(CancellationTokenSource source) : IProgress<long>
    {
        public void Report(long value) => source.Cancel();
    }
}
