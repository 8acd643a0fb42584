using System.Globalization;
using System.Text;
using Nibble.Cpu;
using Nibble.Tensors;
using TorchSharp;

namespace Nibble.Bench;

/// <summary>Products with a weight, ours from floats and from NF4, beside libtorch's from floats.</summary>
internal static unsafe class GemmSuite
{
    private static readonly (int T, int N, int K, string What)[] Sizes =
    [
        (256, 256, 256, "small model, attention output"),
        (256, 512, 256, "small model, q k v"),
        (256, 1536, 256, "small model, gate up"),
        (256, 256, 768, "small model, down"),
        (256, 4096, 256, "small model, head"),
        (512, 512, 512, ""),
        (512, 2048, 2048, ""),
        (1024, 1024, 1024, ""),
        (320, 3584, 3584, "7B, attention output"),
        (1, 3584, 3584, "7B, one token"),
    ];

    /// <summary>Runs the suite.</summary>
    /// <param name="args">Folder for the report.</param>
    public static int Run(string[] args)
    {
        var report = new StringBuilder();
        report.Append(CultureInfo.InvariantCulture, $"""
            # Products on the CPU

            y = x Wᵀ with x [T, K], W [N, K]; F32 throughout, the NF4 column dequantises W inside the product
            (nested absmax). GFLOP/s of the median of interleaved rounds, in brackets of the best round. libtorch
            multiplies dense F32 weights.

            - {Machine.Processor}; .NET {Environment.Version}; TorchSharp {typeof(torch).Assembly.GetName().Version}
            - MKL's vector path: {Environment.GetEnvironmentVariable("NIBBLE_BENCH_MKL") ?? "its own choice"}
            - `dotnet run -c Release --project bench/Nibble.Bench -- gemm`

            | threads | T × N × K | | Nibble F32 | Nibble NF4 | libtorch F32 | F32 ÷ libtorch |
            |---|---|---|---|---|---|---|

            """);
        foreach (var threads in new[] { 1, 2 }.Where(t => t <= Environment.ProcessorCount))
        {
            foreach (var (t, n, k, what) in Sizes)
            {
                var row = Measure(threads, t, n, k, what);
                Console.WriteLine(row);
                report.AppendLine(row);
            }
        }

        Machine.Write(args.Length > 0 ? args[0] : Machine.Folder, "cpu-gemm.md", report.ToString());
        return 0;
    }

    private static string Measure(int threads, int t, int n, int k, string what)
    {
        using var backend = new CpuBackend(threads);
        torch.set_num_threads(threads);
        using var memory = backend.Allocate(4L * (t * k + (long)n * k + t * n) + 2L * n * k + (1 << 20));
        var arena = new Arena(memory);
        var x = Random(arena, t, k);
        var w = Random(arena, n, k);
        var y = arena.Allocate(DType.F32, t, n);
        var dense = new FrozenLinear(w, TensorView.None);
        var quantized = new FrozenLinear([Quantize(backend, arena, w)], TensorView.None);
        using var torchX = torch.rand(t, k) - 0.5;
        using var torchW = torch.rand(n, k) - 0.5;
        using var transposed = torchW.t();
        using var noGradient = torch.no_grad();
        var times = Interleaved.Time(
            () => backend.Linear(x, dense, y), () => backend.Linear(x, quantized, y),
            () => torch.mm(torchX, transposed).Dispose());
        var flops = 2.0 * t * n * k / 1e9;
        string Cell(int i) => string.Create(
            CultureInfo.InvariantCulture, $"{flops / times[i].Median:F0} ({flops / times[i].Best:F0})");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {threads} | {t} × {n} × {k} | {what} | {Cell(0)} | {Cell(1)} | {Cell(2)} | "
            + $"{times[2].Median / times[0].Median:F2} |");
    }

    private static TensorView Random(Arena arena, int rows, int cols)
    {
        var view = arena.Allocate(DType.F32, rows, cols);
        for (long i = 0; i < view.Count; i++)
        {
            ((float*)view.Address)[i] = Philox.Uniform(Philox.Words(1, (ulong)i, (ulong)cols).X) - 0.5f;
        }

        return view;
    }

    private static QuantizedMatrix Quantize(CpuBackend backend, Arena arena, TensorView w)
    {
        var blocks = QuantizedMatrix.BlockCount(w.Count);
        var codes = arena.Allocate(DType.U8, 1, (int)((w.Count + 1) / 2));
        var absMax = arena.Allocate(DType.F32, 1, blocks);
        backend.Quantize4Bit(w, FourBitCode.Nf4, codes, absMax);
        var absMaxCodes = arena.Allocate(DType.U8, 1, blocks);
        var nested = arena.Allocate(
            DType.F32, 1, (blocks + QuantizedMatrix.NestedBlockSize - 1) / QuantizedMatrix.NestedBlockSize);
        var offset = backend.QuantizeAbsMax(absMax, absMaxCodes, nested);
        var map = arena.Allocate(DType.F32, 1, CodeTables.Signed.Length);
        CodeTables.Signed.CopyTo(new Span<float>((float*)map.Address, CodeTables.Signed.Length));
        return new QuantizedMatrix(FourBitCode.Nf4, w.Rows, w.Cols, codes, absMaxCodes, nested, map, offset);
    }
}
