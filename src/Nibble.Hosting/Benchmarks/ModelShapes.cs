using Nibble.Models;

namespace Nibble.Hosting.Benchmarks;

/// <summary>Published model shapes by name, for planning and benchmarks without a download.</summary>
public static class ModelShapes
{
    private static readonly (string Name, string Family, int C, int F, int L, int H, int Hkv, int D, int V,
        bool Tied, double Theta)[] Table =
    [
        ("qwen2.5-0.5b", "qwen2", 896, 4864, 24, 14, 2, 64, 151936, true, 1e6),
        ("qwen2.5-1.5b", "qwen2", 1536, 8960, 28, 12, 2, 128, 151936, true, 1e6),
        ("qwen2.5-3b", "qwen2", 2048, 11008, 36, 16, 2, 128, 151936, true, 1e6),
        ("qwen2.5-7b", "qwen2", 3584, 18944, 28, 28, 4, 128, 152064, false, 1e6),
        ("qwen2.5-14b", "qwen2", 5120, 13824, 48, 40, 8, 128, 152064, false, 1e6),
        ("qwen2.5-32b", "qwen2", 5120, 27648, 64, 40, 8, 128, 152064, false, 1e6),
        ("qwen3-0.6b", "qwen3", 1024, 3072, 28, 16, 8, 128, 151936, true, 1e6),
        ("qwen3-1.7b", "qwen3", 2048, 6144, 28, 16, 8, 128, 151936, true, 1e6),
        ("qwen3-4b", "qwen3", 2560, 9728, 36, 32, 8, 128, 151936, true, 1e6),
        ("llama-2-7b", "llama", 4096, 11008, 32, 32, 32, 128, 32000, false, 1e4),
        ("llama-3.1-8b", "llama", 4096, 14336, 32, 32, 8, 128, 128256, false, 5e5),
        ("llama-3.2-1b", "llama", 2048, 8192, 16, 32, 8, 64, 128256, true, 5e5),
        ("mistral-7b", "mistral", 4096, 14336, 32, 32, 8, 128, 32000, false, 1e4),
        ("tiny", "qwen2", 256, 704, 6, 4, 2, 64, 2048, true, 1e6),
    ];

    /// <summary>Known names.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Table.Select(t => t.Name)];

    /// <summary>The architecture of a name.</summary>
    /// <param name="name">One of <see cref="All"/>.</param>
    /// <exception cref="ModelFormatException">Unknown name.</exception>
    public static ModelConfig Get(string name)
    {
        foreach (var t in Table)
        {
            if (t.Name == name)
            {
                return new ModelConfig
                {
                    Family = t.Family,
                    HiddenSize = t.C,
                    IntermediateSize = t.F,
                    Layers = t.L,
                    Heads = t.H,
                    KvHeads = t.Hkv,
                    HeadDim = t.D,
                    VocabularySize = t.V,
                    NormEpsilon = 1e-6f,
                    TiedHead = t.Tied,
                    QkvBias = t.Family == "qwen2",
                    QkNorm = t.Family == "qwen3",
                    Rope = new RopeOptions(t.Theta, null),
                    Windows = new int[t.L],
                    Quantization = null,
                    EosIds = [],
                };
            }
        }

        throw new ModelFormatException($"--shape: expected one of {string.Join(", ", All)}, found {name}.");
    }
}
