using Nibble.Models.Lora;
using Nibble.Tensors;

namespace Nibble.Models.Decoder;

/// <summary>A frozen product with its adapters, forward and backward: <c>y = W x + b + s B A dropout(x)</c>.</summary>
/// <param name="backend">Device.</param>
/// <param name="dropout">Probability; 0 in evaluation.</param>
/// <param name="place">Fixes the masks.</param>
internal readonly struct LoraProduct(IBackend backend, float dropout, DropoutPlace place)
{
    public void Forward(
        FrozenLinear weight, LoraGroup? group, int layer, int index, TensorView x, TensorView y,
        TensorView xa, TensorView scratch)
    {
        backend.Linear(x, weight, y);
        if (group is null)
        {
            return;
        }

        backend.MatMul(Input(group, layer, index, x, scratch), false, group.A, true, xa);
        backend.MatMul(xa, false, group.B, true, y, accumulate: true);
    }

    /// <summary>
    /// Adapter gradients, and the input gradient when <paramref name="dx"/> is asked for (overwritten).
    /// </summary>
    public void Backward(
        FrozenLinear weight, LoraGroup? group, TensorView gradients, int layer, int index, TensorView x,
        TensorView dy, TensorView xa, TensorView dx, TensorView scratch, BackwardBuffers buffers)
    {
        if (!dx.IsNone)
        {
            backend.LinearBackward(dy, weight, dx, accumulate: false);
        }

        if (group is null)
        {
            return;
        }

        var dxa = Gapless(buffers.Lora, dy.Rows, group.RankSum);
        Span<LowRankBlock> blocks = stackalloc LowRankBlock[group.Modules.Length];
        for (var i = 0; i < blocks.Length; i++)
        {
            var module = group.Modules[i];
            blocks[i] = new LowRankBlock(
                module.FirstRow, module.FirstRank, ParameterSet.Piece(gradients, module.B));
        }

        backend.LowRankBackward(dy, group.B, xa, blocks, group.Scaling, dxa);

        var input = Input(group, layer, index, x, scratch);
        if (StackedGradient(gradients, group) is { } stacked)
        {
            backend.MatMul(dxa, true, input, false, stacked, accumulate: true);
        }
        else
        {
            foreach (var module in group.Modules)
            {
                backend.MatMul(
                    dxa.ColRange(module.FirstRank, module.A.Rows), true, input, false,
                    ParameterSet.Piece(gradients, module.A), accumulate: true);
            }
        }

        if (dx.IsNone)
        {
            return;
        }

        if (dropout == 0)
        {
            backend.MatMul(dxa, false, group.A, false, dx, accumulate: true);
            return;
        }

        // The dropped-out input has been used: its scratch is free for the gradient of it.
        var dropped = Gapless(scratch, dx.Rows, group.In);
        backend.MatMul(dxa, false, group.A, false, dropped);
        backend.Dropout(
            dropped, dx, dropout, place.Seed, place.Stream(layer, index), place.FirstToken, accumulate: true);
    }

    // The mask is a function of the place, so the backward pass draws it again instead of keeping it.
    private TensorView Input(LoraGroup group, int layer, int index, TensorView x, TensorView scratch)
    {
        if (dropout == 0)
        {
            return x;
        }

        var dropped = Gapless(scratch, x.Rows, group.In);
        backend.Dropout(x, dropped, dropout, place.Seed, place.Stream(layer, index), place.FirstToken);
        return dropped;
    }

    private static TensorView Gapless(TensorView scratch, int rows, int cols) =>
        new(scratch.Address, scratch.DType, rows, cols);

    // A factors of a group lie side by side in the flat gradient unless alignment put gaps between them.
    private static TensorView? StackedGradient(TensorView gradients, LoraGroup group)
    {
        var first = group.Modules[0].A;
        for (var i = 1; i < group.Modules.Length; i++)
        {
            if (group.Modules[i].A.Offset != first.Offset + (i * first.Count))
            {
                return null;
            }
        }

        return gradients.ColRange(first.Offset, group.RankSum * group.In).Reshape(group.RankSum, group.In);
    }
}
