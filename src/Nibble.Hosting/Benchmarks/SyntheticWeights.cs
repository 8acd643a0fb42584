using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Hosting.Benchmarks;

/// <summary>Random weights of a trained model's scale, made on the host a block at a time.</summary>
internal static class SyntheticWeights
{
    private const int BlockBytes = 16 << 20;

    /// <summary>Fills a session's base weights; the same seed gives the same weights.</summary>
    public static void Fill(ModelSession session, int seed)
    {
        var (backend, weights) = (session.Backend, session.Full?.Masters ?? session.Weights);
        var random = new byte[BlockBytes];
        FillRandom(MemoryMarshal.Cast<byte, uint>(random.AsSpan()), seed);
        var normal = Values(BlockBytes / sizeof(float), seed + 1);
        Numbers(backend, weights.Embedding, normal, 0.02f);
        if (weights.Head.Dense.Address != weights.Embedding.Address)
        {
            Numbers(backend, weights.Head.Dense, normal, 0.02f);
        }

        Constant(backend, weights.FinalNorm, 1);
        foreach (var layer in weights.Layers)
        {
            foreach (var linear in layer.Linears)
            {
                if (linear.Quantized.Length == 0)
                {
                    Numbers(backend, linear.Dense, normal, 0.02f);
                }

                for (var i = 0; i < linear.Quantized.Length; i++)
                {
                    linear.Quantized[i] = Codes(backend, linear.Quantized[i], random);
                }

                if (!linear.Bias.IsNone)
                {
                    Numbers(backend, linear.Bias, normal, 0.02f);
                }
            }

            foreach (var norm in new[] { layer.InputNorm, layer.PostAttentionNorm, layer.QueryNorm, layer.KeyNorm })
            {
                if (!norm.IsNone)
                {
                    Constant(backend, norm, 1);
                }
            }
        }

        if (session.Full is { } full)
        {
            backend.RefreshCompute(full.Parameters);
        }
    }

    // Scales between 0.04 and 0.06, the absmax of a block of 64 draws with deviation 0.02.
    private static QuantizedMatrix Codes(IBackend backend, QuantizedMatrix matrix, byte[] random)
    {
        Bytes(backend, matrix.Codes, random);
        if (!matrix.IsNested)
        {
            Constant(backend, matrix.AbsMax, 0.05f);
            return matrix;
        }

        Bytes(backend, matrix.AbsMax, random);
        Constant(backend, matrix.NestedAbsMax, 0.01f);
        backend.Upload(MemoryMarshal.AsBytes(CodeTables.Signed), matrix.NestedMap);
        return matrix with { Offset = 0.05f };
    }

    private static void Bytes(IBackend backend, TensorView view, byte[] random)
    {
        for (var at = 0; at < view.Cols; at += random.Length)
        {
            var count = Math.Min(random.Length, view.Cols - at);
            backend.Upload(random.AsSpan(0, count), view.ColRange(at, count));
        }
    }

    private static void Numbers(IBackend backend, TensorView view, float[] values, float scale)
    {
        var flat = view.Reshape(1, checked((int)view.Count));
        var block = values.Length;
        var floats = new float[block];
        var halves = new ushort[block];
        for (var i = 0; i < block; i++)
        {
            floats[i] = values[i] * scale;
            halves[i] = Bf16.FromSingle(floats[i]);
        }

        for (var at = 0; at < flat.Cols; at += block)
        {
            var piece = flat.ColRange(at, Math.Min(block, flat.Cols - at));
            if (view.DType == DType.BF16)
            {
                backend.Upload(MemoryMarshal.AsBytes(halves.AsSpan(0, piece.Cols)), piece);
            }
            else
            {
                backend.Upload(MemoryMarshal.AsBytes(floats.AsSpan(0, piece.Cols)), piece);
            }
        }
    }

    private static void Constant(IBackend backend, TensorView view, float value) =>
        Numbers(backend, view, Enumerable.Repeat(1f, 4096).ToArray(), value);

    // Sum of four uniform draws: near enough to a normal one, deviation 1.
    private static float[] Values(int count, int seed)
    {
        var values = new float[count];
        for (var i = 0; i < count; i++)
        {
            var w = Philox.Words((ulong)(uint)seed, (ulong)i, 1);
            var sum = Philox.Uniform(w.X) + Philox.Uniform(w.Y) + Philox.Uniform(w.Z) + Philox.Uniform(w.W);
            values[i] = (sum - 2) * 1.7320508f;
        }

        return values;
    }

    private static void FillRandom(Span<uint> words, int seed)
    {
        for (var i = 0; i < words.Length; i += 4)
        {
            (words[i], words[i + 1], words[i + 2], words[i + 3]) = Philox.Words((ulong)(uint)seed, (ulong)i, 0);
        }
    }
}
