using Nibble.Cuda.Interop;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// Matrix products by cuBLASLt with F32 accumulation (never TF32). For each class of shapes the library's proposals are
/// timed once and the fastest is kept for the life of the process, so equal calls give equal bits; sums over split K go
/// through the workspace in a fixed order.
/// </summary>
internal sealed unsafe class Products : IDisposable
{
    // The library orders proposals by its own estimate, and for long passes the fastest is often far down its list:
    // with 48 instead of 8, steps of a 7B with 4 x 2048 and 4 x 512 tokens took 4 and 2 % less on an H100, but one of
    // 320 tokens, for which reading the weights decides, only 1 %. Each proposal costs the first run the time to load
    // it.
    private const int Proposals = 48;
    private const int ShortProposals = 8;
    private const int ShortRows = 512;

    // Below this many multiply-adds a product is launch-bound and timing only measures noise.
    private const double TimedWork = 1 << 24;

    // An accumulating product must not be repeated on its own output; it is timed on a copy up to this size.
    private const long MaxTrialBytes = 64L << 20;

    // The best of two rounds. 200 proposals in longer trials chose kernels that made steps of 4 x 2048 tokens 2.5 %
    // slower (0.417 s against 0.406, in turns on one card); which of the two was to blame was not looked into. Six more
    // rounds among the best six were no better either: three choices made anew gave 0.1031 s for 4 x 512 tokens on
    // average against 0.1017, each measured twice in turns.
    private const int Repeats = 4;
    private const int Rounds = 2;

    private readonly CudaContext _context;
    private readonly nint _handle;
    private readonly DeviceMemory _workspace;
    private readonly TuningFile? _tuning;
    private readonly bool _tune;
    private readonly Dictionary<ProductClass, ProductPlan?> _plans = [];
    private readonly Dictionary<(ProductClass, int, int, int), CublasLt.Algorithm> _exceptions = [];
    private readonly nint _start;
    private readonly nint _end;

    internal Products(CudaContext context, CudaOptions options)
    {
        _context = context;
        CublasLt.Check(CublasLt.Create(out _handle), "cublasLtCreate");
        _workspace = context.Allocate(options.ProductWorkspaceBytes, MemoryKind.Device);
        CudaException.Check(Driver.EventCreate(out _start, 0));
        CudaException.Check(Driver.EventCreate(out _end, 0));
        _tune = options.TuneProducts;
        if (options is { TuneProducts: true, RememberTuning: true })
        {
            _tuning = new TuningFile(
                options.CacheFolder, context.Info.Name, (long)CublasLt.GetVersion(), options.ProductWorkspaceBytes,
                Proposals);
        }
    }

    /// <summary>Scratch of the library, and of any other op on the stream that needs it only for itself.</summary>
    internal DeviceMemory Workspace => _workspace;

    /// <summary>Device bytes held for the library.</summary>
    internal long WorkspaceBytes => _workspace.Bytes;

    /// <summary>
    /// Whether the library may round a product to BF16 before it adds the old value or a bias of another type. Measured
    /// with 13.1 on an H100: all 257 nvjet kernels without split K that it proposed for accumulating products of 1 to
    /// 8192 rows do, and nearly all its proposals are of that kind; 28 % of the results differ from those rounded once.
    /// With six columns, a sum of 2,048 terms and a bias of its own type a result was off by 14 times its limit, as if
    /// rounded before the bias. Whether the split sum or the unaligned rows did that was not looked into: neither is
    /// left to it where there is a bias.
    /// </summary>
    internal static bool RoundsTwice(in Product product) =>
        product.C.DType == DType.BF16
        && (product.Accumulate || (!product.Bias.IsNone && !AddsBias(product)));

    /// <summary>Enqueues a product, or says that the library has no kernel for it or not an exact one.</summary>
    internal bool TryRun(in Product product)
    {
        if (product.A.DType != product.B.DType || (product.A.DType == DType.F32 && product.C.DType != DType.F32)
            || RoundsTwice(product) || (!product.Bias.IsNone && !AddsBias(product)))
        {
            return false;
        }

        _context.MakeCurrent();
        var kind = product.Class;
        if (!_plans.TryGetValue(kind, out var plan))
        {
            plan = Choose(product, kind);
            _plans.Add(kind, plan);
        }

        if (plan is null)
        {
            return false;
        }

        plan.Describe(product);
        if (_exceptions.Count > 0 && _exceptions.TryGetValue(ExceptionKey(product, kind), out var other))
        {
            CublasLt.Check(Run(plan, product, product.C.Address, product.Accumulate, other), "cublasLtMatmul");
            return true;
        }

        var code = Run(plan, product, product.C.Address, product.Accumulate, plan.Algorithm);
        return code == 0 || RunOther(plan, product, kind, code);
    }

    public void Dispose()
    {
        foreach (var plan in _plans.Values)
        {
            plan?.Dispose();
        }

        _plans.Clear();
        _ = Driver.EventDestroy(_start);
        _ = Driver.EventDestroy(_end);
        _ = CublasLt.Destroy(_handle);
        _workspace.Dispose();
    }

    private static bool AddsBias(in Product product) =>
        product.Bias.DType == product.C.DType && product.Bias.Address % 16 == 0
        && (product.C.DType != DType.BF16 || product.Class.AlignmentC == 16);

    // A kernel chosen for another shape of the class may not take this one: then the library's first that does.
    private bool RunOther(ProductPlan plan, in Product product, in ProductClass kind, int refusal)
    {
        var found = stackalloc CublasLt.Heuristic[Proposals];
        var count = Propose(plan, product, kind, found);
        for (var i = 0; i < count; i++)
        {
            if (Run(plan, product, product.C.Address, product.Accumulate, found[i].Algorithm) == 0)
            {
                _exceptions[ExceptionKey(product, kind)] = found[i].Algorithm;
                return true;
            }
        }

        return count == 0 || refusal == CublasLt.StatusNotSupported
            ? false
            : throw new CudaException($"cublasLtMatmul {kind}", refusal, CublasLt.StatusName(refusal));
    }

    private ProductPlan? Choose(in Product product, in ProductClass kind)
    {
        var plan = new ProductPlan(product);
        plan.Describe(product);
        if (_tuning?.Find(kind) is { } remembered)
        {
            plan.Algorithm = remembered;
            return plan;
        }

        var found = stackalloc CublasLt.Heuristic[Proposals];
        var count = Propose(plan, product, kind, found);
        if (count == 0)
        {
            plan.Dispose();
            return null;
        }

        plan.Algorithm = found[0].Algorithm;
        if (_tune && count > 1 && product.Work >= TimedWork)
        {
            plan.Algorithm = found[Fastest(plan, product, found, count)].Algorithm;
            _tuning?.Add(kind, plan.Algorithm);
        }

        return plan;
    }

    private int Propose(ProductPlan plan, in Product product, in ProductClass kind, CublasLt.Heuristic* found)
    {
        CublasLt.Check(CublasLt.MatmulPreferenceCreate(out var preference), "cublasLtMatmulPreferenceCreate");
        try
        {
            var workspace = (ulong)_workspace.Bytes;
            Set(preference, CublasLt.PreferenceWorkspace, &workspace, sizeof(ulong));
            var reductions = product.Bias.IsNone ? CublasLt.ReductionComputeType : CublasLt.ReductionNone;
            Set(preference, CublasLt.PreferenceReductionMask, &reductions, sizeof(uint));
            // The library's first operand is our second.
            SetAlignment(preference, CublasLt.PreferenceAlignmentA, kind.AlignmentB);
            SetAlignment(preference, CublasLt.PreferenceAlignmentB, kind.AlignmentA);
            SetAlignment(preference, CublasLt.PreferenceAlignmentC, kind.AlignmentC);
            SetAlignment(preference, CublasLt.PreferenceAlignmentD, kind.AlignmentC);
            var asked = product.C.Rows < ShortRows ? ShortProposals : Proposals;
            var count = plan.Candidates(_handle, preference, found, asked);
            var usable = 0;
            for (var i = 0; i < count; i++)
            {
                if (found[i].State == 0 && found[i].WorkspaceBytes <= (nuint)_workspace.Bytes)
                {
                    found[usable++] = found[i];
                }
            }

            return usable;
        }
        finally
        {
            _ = CublasLt.MatmulPreferenceDestroy(preference);
        }
    }

    private static void SetAlignment(nint preference, int attribute, uint bytes) =>
        Set(preference, attribute, &bytes, sizeof(uint));

    private static void Set(nint preference, int attribute, void* value, nuint bytes) =>
        CublasLt.Check(
            CublasLt.MatmulPreferenceSetAttribute(preference, attribute, value, bytes),
            "cublasLtMatmulPreferenceSetAttribute");

    // The output is overwritten by the real run afterwards, or is a copy's worth of memory for the time of the trial.
    private int Fastest(ProductPlan plan, in Product product, CublasLt.Heuristic* found, int count)
    {
        if (!product.Accumulate)
        {
            return Time(plan, product, product.C.Address, found, count);
        }

        var bytes = (long)product.C.Rows * product.C.Stride * product.C.DType.Size();
        if (bytes > MaxTrialBytes)
        {
            return 0;
        }

        DeviceMemory trial;
        try
        {
            trial = _context.Allocate(bytes, MemoryKind.Device);
        }
        catch (OutOfDeviceMemoryException)
        {
            return 0;
        }

        using (trial)
        {
            return Time(plan, product, trial.Address, found, count);
        }
    }

    private int Time(ProductPlan plan, in Product product, nint output, CublasLt.Heuristic* found, int count)
    {
        var best = stackalloc float[Proposals];
        new Span<float>(best, Proposals).Fill(float.PositiveInfinity);
        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < count; i++)
            {
                if (Run(plan, product, output, false, found[i].Algorithm) != 0)
                {
                    continue;
                }

                CudaException.Check(Driver.EventRecord(_start, _context.Stream));
                for (var repeat = 0; repeat < Repeats; repeat++)
                {
                    _ = Run(plan, product, output, false, found[i].Algorithm);
                }

                CudaException.Check(Driver.EventRecord(_end, _context.Stream));
                CudaException.Check(Driver.EventSynchronize(_end));
                CudaException.Check(Driver.EventElapsedTime(out var milliseconds, _start, _end));
                best[i] = Math.Min(best[i], milliseconds);
            }
        }

        var winner = 0;
        for (var i = 1; i < count; i++)
        {
            winner = best[i] < best[winner] ? i : winner;
        }

        return winner;
    }

    private int Run(ProductPlan plan, in Product product, nint output, bool accumulate,
        in CublasLt.Algorithm algorithm) =>
        plan.Run(_handle, product, output, accumulate, algorithm, _workspace.Address, _workspace.Bytes,
            _context.Stream);

    private static (ProductClass, int, int, int) ExceptionKey(in Product product, in ProductClass kind) =>
        (kind, product.C.Rows, product.C.Cols, product.Depth);
}
