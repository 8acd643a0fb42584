using System.Runtime.InteropServices;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Models.Decoder;
using Nibble.Planning;
using Nibble.Tensors;

namespace Nibble.Training;

/// <summary>Evaluation loss: forward passes only, dropout off.</summary>
/// <param name="backend">Device.</param>
/// <param name="model">Model with its current adapters.</param>
/// <param name="arena">Memory of passes.</param>
/// <param name="plan">Sizes of passes.</param>
/// <param name="normalization">How losses are averaged.</param>
public sealed class Evaluator(
    IBackend backend, DecoderModel model, Arena arena, MemoryPlan plan, LossNormalization normalization)
{
    /// <summary>Mean loss of evaluation rows; NaN when no token trains.</summary>
    /// <param name="samples">Rows.</param>
    /// <param name="batches">Their batches.</param>
    /// <param name="cancellation">Throws between two passes.</param>
    public double Loss(Sample[] samples, IReadOnlyList<MicroBatch> batches, CancellationToken cancellation = default)
    {
        var mark = arena.Used;
        var total = arena.Allocate(DType.F64, 1, 1);
        backend.Zero(total);
        foreach (var pass in PassBuilder.Build(
            samples, batches, plan.EvalPassTokens, normalization == LossNormalization.Sequence))
        {
            cancellation.ThrowIfCancellationRequested();
            model.Run(
                pass.Batch, DecoderModel.Shape(pass.Batch, plan.LogitsChunk, 0, backward: false), arena,
                pass.LossScale, default, total);
        }

        Span<double> loss = [0];
        backend.Download(total, MemoryMarshal.AsBytes(loss));
        arena.Release(mark);
        return loss[0];
    }
}
