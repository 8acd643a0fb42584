using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string AdamWFile = "AdamW.cu";

    private readonly Kernel _gradientNormPartial = new(AdamWFile, "gradient_norm_partial");
    private readonly Kernel _gradientNormFinal = new(AdamWFile, "gradient_norm_final");
    private readonly Kernel _adamW = new(AdamWFile, "adamw");
    private readonly Kernel _refreshCompute = new(AdamWFile, "refresh_compute");
    private readonly List<ParameterTable> _parameterTables = [];

    /// <inheritdoc/>
    public void GradientNorm(TensorView gradient, TensorView norm)
    {
        Guard.Type(gradient, DType.F32);
        Guard.Shape(gradient, 1, gradient.Cols);
        Guard.Type(norm, DType.F32);
        Guard.Shape(norm, 1, 1);
        // The grid depends on the count alone, and with it the order of the sum.
        var blocks = Math.Clamp((gradient.Cols + 4095) / 4096, 1, DeviceTables.Partials);
        _context.Launch(
            _gradientNormPartial, DType.U8, LaunchShape.Of(blocks, 256), gradient, gradient.Cols, _tables.PartialSums);
        _context.Launch(_gradientNormFinal, DType.U8, LaunchShape.Of(1, 1024), _tables.PartialSums, blocks, norm);
    }

    /// <inheritdoc/>
    public void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(state);
        Guard.Type(norm, DType.F32);
        Guard.Shape(norm, 1, 1);
        if (state.IsEightBit.Length != parameters.Slots.Length)
        {
            throw new ShapeException(
                $"expected optimizer state of {parameters.Slots.Length} tensors, got {state.IsEightBit.Length}");
        }

        var table = TableOf(parameters, state);
        if (table.Chunks == 0)
        {
            return;
        }

        _context.Launch(
            _adamW, DType.U8, LaunchShape.Of(table.Chunks, ParameterTable.Threads),
            table.SlotAddress, table.ChunkAddress, parameters.Master, parameters.Gradient,
            state.Moment1, state.Moment2, state.Codes1, state.Codes2, state.AbsMax1, state.AbsMax2,
            _tables.Signed, _tables.Unsigned, _tables.SignedBoundaries, _tables.UnsignedBoundaries, norm,
            step.MaxNorm, step.LearningRate, step.Beta1, step.Beta2, step.Epsilon, step.WeightDecay,
            (float)(1 - Math.Pow(step.Beta1, step.Step)), (float)(1 - Math.Pow(step.Beta2, step.Step)),
            step.DecayAfter);
    }

    /// <inheritdoc/>
    public void RefreshCompute(ParameterSet parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var table = TableOf(parameters, null);
        if (table.Chunks > 0)
        {
            _context.Launch(
                _refreshCompute, DType.U8, LaunchShape.Of(table.Chunks, ParameterTable.Threads),
                table.SlotAddress, table.ChunkAddress, parameters.Master);
        }
    }

    // A refresh alone is served by the table of any state; an update needs its own.
    private ParameterTable TableOf(ParameterSet parameters, OptimizerState? state)
    {
        for (var i = 0; i < _parameterTables.Count; i++)
        {
            var known = _parameterTables[i];
            if (ReferenceEquals(known.Parameters, parameters) && (state is null || ReferenceEquals(known.State, state)))
            {
                return known;
            }
        }

        var table = new ParameterTable(_context, _staging, parameters, state);
        _parameterTables.Add(table);
        return table;
    }

    private void DisposeParameterTables() => _parameterTables.ForEach(t => t.Dispose());
}
