using Nibble.Config;
using Nibble.Models.Lora;

namespace Nibble.Hosting.Benchmarks;

/// <summary>The standard set: a 7B at the lengths and budgets that people ask about.</summary>
public static class TrainSuite
{
    private const long Gib = 1L << 30;

    /// <summary>q, k, v, o.</summary>
    public static IReadOnlyList<string> Attention { get; } = ["q_proj", "k_proj", "v_proj", "o_proj"];

    /// <summary>Every decoder linear.</summary>
    public static IReadOnlyList<string> AllLinear => LoraAdapters.ModuleNames;

    /// <summary>Titles and options, in order.</summary>
    /// <param name="device">Device.</param>
    public static IReadOnlyList<(string Title, TrainBenchmarkOptions Options)> All(string device)
    {
        EngineOptions Engine(long? limit) => new(device, null, RecomputeMode.Allowed, limit);
        TrainBenchmarkOptions Run(int[] rows, long? limit = null) => new()
        {
            Shape = "qwen2.5-7b",
            Rows = rows,
            Engine = Engine(limit),
        };
        return
        [
            ("reference run: 4 x 512, every layer recomputed",
                Run([512, 512, 512, 512]) with { Recompute = RecomputeMode.Always }),
            ("4 x 512, nothing recomputed", Run([512, 512, 512, 512]) with { Profile = true }),
            ("4 x 512, dropout 0.05", Run([512, 512, 512, 512]) with { Dropout = 0.05 }),
            ("4 x 2048", Run([2048, 2048, 2048, 2048]) with { Profile = true, Steps = 12 }),
            ("4 real rows, 320 tokens", Run([45, 130, 77, 68]) with { Profile = true, Steps = 60 }),
            ("all linear, r=16, 2 x 2048", Run([2048, 2048]) with { Rank = 16, Targets = AllLinear }),
            ("reference run within 6 GiB", Run([512, 512, 512, 512], 6 * Gib)),
            ("reference run within 5.5 GiB", Run([512, 512, 512, 512], (11 * Gib) / 2)),
            ("32B at 512 tokens within 24 GiB",
                Run([512, 512, 512, 512], 24 * Gib) with { Shape = "qwen2.5-32b", Steps = 6 }),
        ];
    }
}
