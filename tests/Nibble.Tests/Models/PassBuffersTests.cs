using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Models.Lora;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>Memory of a pass: what is needed at the same time never shares bytes, and plans hold.</summary>
public sealed class PassBuffersTests
{
    private static readonly string[] Attention = ["q_proj", "k_proj", "v_proj", "o_proj"];
    private static readonly string[] All = [.. Attention, "gate_proj", "up_proj", "down_proj"];

    [Theory]
    [InlineData("none", 0.0, 0)]
    [InlineData("attention", 0.0, 0)]
    [InlineData("attention", 0.1, 1)]
    [InlineData("all", 0.0, 2)]
    [InlineData("all", 0.1, 1)]
    public void Pieces_NeededAtTheSameTime_DoNotIntersect(string targets, double dropout, int recomputed)
    {
        var (config, lora) = Model(targets, dropout);
        foreach (var backward in new[] { true, false })
        {
            var shape = new PassShape(37, 2, 30, 8, recomputed, backward);
            var buffers = PassBuffers.Allocate(config, lora, DType.F32, shape, Arena.Counting());
            for (var l = 0; l < config.Layers; l++)
            {
                foreach (var (when, pieces) in Moments(buffers, l))
                {
                    AssertApart(when, pieces);
                }
            }

            if (backward)
            {
                Assert.Equal(config.Layers, buffers.Layers.Select(layer => layer.Input.Address).Distinct().Count());
            }
        }
    }

    [Fact]
    public void Head_AndLayers_ShareBytes()
    {
        var (config, lora) = Model("attention", 0);
        config = config with { IntermediateSize = 8 * config.HiddenSize };
        var buffers = PassBuffers.Allocate(
            config, lora, DType.F32, new PassShape(64, 1, 64, 64, 0, Backward: true), Arena.Counting());
        Assert.True(Intersect(buffers.Logits, buffers.Gated));
        Assert.True(Intersect(buffers.Logits, buffers.Backward!.Gated));
        Assert.True(Intersect(buffers.Gated, buffers.Backward.Gated));
        Assert.True(Intersect(buffers.Backward.Qkv, buffers.Backward.Gated));
    }

    [Theory]
    [InlineData("none", 0.0)]
    [InlineData("attention", 0.1)]
    [InlineData("all", 0.1)]
    public void PassBytes_OfASmallerPass_NeverExceedThoseOfALarger(string targets, double dropout)
    {
        var (config, lora) = Model(targets, dropout);
        foreach (var backward in new[] { true, false })
        {
            foreach (var recomputed in new[] { 0, 1, config.Layers })
            {
                var planned = new PassShape(96, 4, 96, 32, recomputed, backward);
                var bytes = DecoderModel.PassBytes(config, lora, DType.F32, planned);
                for (var tokens = 1; tokens <= planned.Tokens; tokens++)
                {
                    foreach (var trained in new[] { 0, 1, tokens / 3, tokens })
                    {
                        var smaller = planned with { Tokens = tokens, TrainedTokens = trained, Samples = 1 };
                        var needed = DecoderModel.PassBytes(config, lora, DType.F32, smaller);
                        Assert.True(needed <= bytes, $"{smaller} needs {needed} of {bytes} bytes");
                    }
                }
            }
        }
    }

    [Fact]
    public void Lifetimes_WithoutACommonPhase_StartAtTheSamePlace()
    {
        var arena = Arena.Counting();
        arena.Allocate(DType.F32, 1, 64);
        var lifetimes = new PassLifetimes(arena);
        var first = lifetimes.Take(PassPhase.Head, DType.F32, 4, 64);
        var beside = lifetimes.Take(PassPhase.Head | PassPhase.Recompute, DType.F32, 2, 64);
        var over = lifetimes.Take(PassPhase.LayerForward, DType.F32, 1, 64);
        var after = lifetimes.Take(PassPhase.LayerForward | PassPhase.Recompute, DType.F32, 1, 64);
        Assert.Equal(first.Address + (nint)first.Bytes, beside.Address);
        Assert.Equal(first.Address, over.Address);
        Assert.Equal(beside.Address + (nint)beside.Bytes, after.Address);
        Assert.Equal(8 * 256, arena.Used);
        Assert.Equal(arena.Used, arena.Peak);
    }

    // What each part of a pass reads or writes, and what it must leave for a later part, as read from the graph.
    private static IEnumerable<(string When, (string Name, TensorView View)[] Pieces)> Moments(
        PassBuffers b, int l)
    {
        var layer = b.Layers[l];
        (string, TensorView)[] inputs =
        [
            ("ids", b.Ids), ("positions", b.Positions), ("cu_seqlens", b.CuSeqlens), ("index", b.TrainedIndex),
            ("targets", b.Targets), ("losses", b.Losses),
        ];
        (string, TensorView)[] activations =
        [
            .. inputs, ("input", layer.Input), ("input rstd", layer.InputRstd), ("normed", layer.Normed),
            ("qkv", layer.Qkv), ("raw", layer.RawQueryKey), ("q rstd", layer.QueryRstd), ("k rstd", layer.KeyRstd),
            ("attention", layer.Attention), ("lse", layer.LogSumExp), ("middle", layer.Middle),
            ("middle rstd", layer.MiddleRstd), ("middle normed", layer.MiddleNormed), ("gate up", layer.GateUp),
            ("xa qkv", layer.LoraQkv), ("xa o", layer.LoraOutput), ("xa gate up", layer.LoraGateUp),
            ("xa down", layer.LoraDown), ("d xa gate up", layer.LoraGateUpGradient),
        ];
        (string, TensorView)[] final = [("final", b.Final), ("final rstd", b.FinalRstd)];
        yield return ("forward", [.. activations, ("projected", b.Projected), ("gated", b.Gated), ("drop", b.Dropped)]);
        yield return ("final norm",
            [.. activations, .. final, ("projected", b.Projected), ("final normed", b.FinalNormed)]);
        (string, TensorView)[] head =
            [.. activations, .. final, ("final normed", b.FinalNormed), ("rows", b.HeadRows), ("logits", b.Logits)];
        if (b.Backward is not { } gradient)
        {
            yield return ("head", head);
            yield break;
        }

        (string, TensorView)[] stream = [("d stream", gradient.Stream), ("d xa stream", gradient.LoraStream)];
        (string, TensorView)[] gradients =
            [.. activations, .. stream, ("d normed", gradient.Normed), ("drop", b.Dropped)];
        yield return ("head", [.. head, ("d normed", gradient.Normed)]);
        yield return ("final norm backward", [.. activations, .. final, .. stream, ("d normed", gradient.Normed)]);
        yield return ("recompute", [.. activations, .. stream, ("projected", b.Projected), ("drop", b.Dropped)]);
        yield return ("mlp backward",
            [.. gradients, ("d gated", gradient.Gated)]);
        yield return ("attention backward",
            [
                .. gradients, ("d qkv", gradient.Qkv), ("d xa qkv", gradient.LoraQkv),
                ("d attention", gradient.Attention), ("delta", gradient.Delta),
            ]);
    }

    private static void AssertApart(string when, (string Name, TensorView View)[] pieces)
    {
        for (var i = 0; i < pieces.Length; i++)
        {
            for (var j = 0; j < i; j++)
            {
                Assert.False(
                    Intersect(pieces[i].View, pieces[j].View), $"{when}: {pieces[i].Name} lies over {pieces[j].Name}");
            }
        }
    }

    // Views of one stride may lie side by side: then their columns decide.
    private static bool Intersect(TensorView a, TensorView b)
    {
        if (a.Count == 0 || b.Count == 0 || a.Address >= End(b) || b.Address >= End(a))
        {
            return false;
        }

        var (size, stride) = (a.DType.Size(), (nint)a.Stride);
        if (a.DType != b.DType || a.Stride != b.Stride || a.Rows == 1 || b.Rows == 1)
        {
            return true;
        }

        var column = ((((b.Address - a.Address) / size) % stride) + stride) % stride;
        return column < a.Cols || column + b.Cols > stride;
    }

    private static nint End(TensorView view) =>
        view.Address + ((((nint)(view.Rows - 1) * view.Stride) + view.Cols) * view.DType.Size());

    private static (ModelConfig Config, LoraAdapters? Lora) Model(string targets, double dropout)
    {
        var config = ModelConfig.Load(Goldens.Path("qwen3"));
        var lora = targets == "none"
            ? null
            : LoraAdapters.Allocate(
                config, LoraTestOptions.Create(8, 16, targets == "all" ? All : Attention, dropout), DType.F32,
                Arena.Counting());
        return (config, lora);
    }
}
