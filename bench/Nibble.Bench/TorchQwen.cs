using static TorchSharp.torch;
using Parameter = TorchSharp.Modules.Parameter;

namespace Nibble.Bench;

/// <summary>Sizes of a decoder.</summary>
internal sealed record DecoderSizes(
    int Hidden, int Mlp, int Layers, int Heads, int KvHeads, int HeadDim, int Vocabulary, int Rank)
{
    /// <summary>The example model.</summary>
    public static DecoderSizes Small { get; } = new(256, 768, 4, 4, 2, 64, 4096, 8);
}

/// <summary>
/// The peer of a training step: Qwen2 with LoRA on every linear layer written with TorchSharp's tensors and autograd,
/// dense F32 frozen weights (libtorch has no NF4 on the CPU), torch's own fused attention and AdamW.
/// </summary>
internal sealed class TorchQwen : IDisposable
{
    private readonly DecoderSizes _sizes;
    private readonly Tensor _embedding;
    private readonly Tensor _head;
    private readonly Tensor _finalNorm;
    private readonly Layer[] _layers;
    private readonly Parameter[] _trained;
    private readonly optim.Optimizer _optimizer;

    /// <summary>Random weights.</summary>
    public TorchQwen(DecoderSizes sizes)
    {
        _sizes = sizes;
        random.manual_seed(7);
        _embedding = Frozen(sizes.Vocabulary, sizes.Hidden);
        _head = Frozen(sizes.Vocabulary, sizes.Hidden);
        _finalNorm = ones(sizes.Hidden);
        _layers = [.. Enumerable.Range(0, sizes.Layers).Select(_ => new Layer(sizes))];
        _trained = [.. _layers.SelectMany(l => l.Linears).SelectMany(l => new[] { l.A, l.B })];
        _optimizer = optim.AdamW(_trained, 1e-4);
    }

    /// <summary>One optimizer step over rows of one length; returns the loss.</summary>
    /// <param name="ids">[rows, tokens].</param>
    public double Step(Tensor ids)
    {
        using var scope = NewDisposeScope();
        _optimizer.zero_grad();
        var predictions = ids.shape[1] - 1;
        var logits = Forward(ids).narrow(1, 0, predictions).reshape(-1, _sizes.Vocabulary);
        var loss = nn.functional.cross_entropy(logits, ids.narrow(1, 1, predictions).reshape(-1));
        loss.backward();
        nn.utils.clip_grad_norm_(_trained, 1.0);
        _optimizer.step();
        return loss.item<float>();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimizer.Dispose();
        foreach (var tensor in (Tensor[])[_embedding, _head, _finalNorm, .. _trained])
        {
            tensor.Dispose();
        }
    }

    private static Tensor Frozen(int rows, int cols) => randn(rows, cols) * 0.02;

    private static Tensor Norm(Tensor x, Tensor weight) =>
        weight * (x * (x.square().mean([-1], true) + 1e-6).rsqrt());

    private Tensor Forward(Tensor ids)
    {
        var x = _embedding.index_select(0, ids.reshape(-1)).reshape(ids.shape[0], ids.shape[1], _sizes.Hidden);
        var (cos, sin) = Angles(ids.shape[1]);
        foreach (var layer in _layers)
        {
            x += Attend(layer, Norm(x, layer.Norm1), cos, sin);
            var h = Norm(x, layer.Norm2);
            x += layer.Down.Apply(nn.functional.silu(layer.Gate.Apply(h)) * layer.Up.Apply(h));
        }

        return matmul(Norm(x, _finalNorm), _head.t());
    }

    private Tensor Attend(Layer layer, Tensor n, Tensor cos, Tensor sin)
    {
        var q = Rotate(Split(layer.Q.Apply(n), _sizes.Heads), cos, sin);
        var k = Rotate(Split(layer.K.Apply(n), _sizes.KvHeads), cos, sin);
        var v = Split(layer.V.Apply(n), _sizes.KvHeads);
        var group = _sizes.Heads / _sizes.KvHeads;
        var o = nn.functional.scaled_dot_product_attention(
            q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1), is_casual: true);
        return layer.O.Apply(o.transpose(1, 2).reshape(n.shape[0], n.shape[1], -1));
    }

    private Tensor Split(Tensor x, int heads) =>
        x.reshape(x.shape[0], x.shape[1], heads, _sizes.HeadDim).transpose(1, 2);

    private static Tensor Rotate(Tensor x, Tensor cos, Tensor sin)
    {
        var halves = x.chunk(2, -1);
        return x * cos + cat([-halves[1], halves[0]], -1) * sin;
    }

    private (Tensor Cos, Tensor Sin) Angles(long tokens)
    {
        var frequencies = pow(1e6, -arange(0, _sizes.HeadDim, 2).to(float32) / _sizes.HeadDim);
        var angles = outer(arange(tokens).to(float32), frequencies);
        angles = cat([angles, angles], -1);
        return (angles.cos(), angles.sin());
    }

    /// <summary>A frozen weight with its adapter.</summary>
    private sealed class Linear(int n, int k, int rank)
    {
        private const double Scale = 2;
        private readonly Tensor _weight = Frozen(n, k);

        public Parameter A { get; } = new(randn(rank, k) * 0.02);

        public Parameter B { get; } = new(zeros(n, rank));

        public Tensor Apply(Tensor x) => matmul(x, _weight.t()) + matmul(matmul(x, A.t()), B.t()) * Scale;
    }

    private sealed class Layer(DecoderSizes s)
    {
        public Tensor Norm1 { get; } = ones(s.Hidden);

        public Tensor Norm2 { get; } = ones(s.Hidden);

        public Linear Q { get; } = new(s.Heads * s.HeadDim, s.Hidden, s.Rank);

        public Linear K { get; } = new(s.KvHeads * s.HeadDim, s.Hidden, s.Rank);

        public Linear V { get; } = new(s.KvHeads * s.HeadDim, s.Hidden, s.Rank);

        public Linear O { get; } = new(s.Hidden, s.Heads * s.HeadDim, s.Rank);

        public Linear Gate { get; } = new(s.Mlp, s.Hidden, s.Rank);

        public Linear Up { get; } = new(s.Mlp, s.Hidden, s.Rank);

        public Linear Down { get; } = new(s.Hidden, s.Mlp, s.Rank);

        public IEnumerable<Linear> Linears => [Q, K, V, O, Gate, Up, Down];
    }
}
