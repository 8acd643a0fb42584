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
        if (group is null)
        {
            backend.Linear(x, weight, y);
            return;
        }

        backend.MatMul(Input(group, layer, index, x, scratch), false, group.A, true, xa);
        backend.LinearLowRank(x, weight, xa, group.B, y);
    }

    /// <summary>
    /// Gradient of B; of x Aᵀ into <paramref name="dxa"/>; and of the input when <paramref name="dx"/> is asked for
    /// (overwritten).
    /// </summary>
    public void Backward(
        FrozenLinear weight, LoraGroup? group, TensorView gradients, int layer, int index, TensorView dy,
        TensorView xa, TensorView dxa, TensorView dx, TensorView scratch)
    {
        if (group is null)
        {
            if (!dx.IsNone)
            {
                backend.LinearBackward(dy, weight, dx, accumulate: false);
            }

            return;
        }

        dxa = dxa.ColRange(0, group.RankSum);
        Span<LowRankBlock> blocks = stackalloc LowRankBlock[group.Modules.Length];
        for (var i = 0; i < blocks.Length; i++)
        {
            var module = group.Modules[i];
            blocks[i] = new LowRankBlock(
                module.FirstRow, module.FirstRank, ParameterSet.Piece(gradients, module.B));
        }

        backend.LowRankBackward(dy, group.B, xa, blocks, group.Scaling, dxa);
        if (dx.IsNone)
        {
            return;
        }

        if (dropout == 0)
        {
            backend.LinearLowRankBackward(dy, weight, dxa, group.A, dx);
            return;
        }

        backend.LinearBackward(dy, weight, dx, accumulate: false);
        var dropped = Gapless(scratch, dx.Rows, group.In);
        backend.MatMul(dxa, false, group.A, false, dropped);
        backend.Dropout(
            dropped, dx, dropout, place.Seed, place.Stream(layer, index), place.FirstToken, accumulate: true);
    }

    /// <summary>Gradient of A, from the input and what <see cref="Backward"/> left in
    /// <paramref name="dxa"/>.</summary>
    public void BackwardA(
        LoraGroup? group, TensorView gradients, int layer, int index, TensorView x, TensorView dxa, TensorView scratch)
    {
        if (group is null)
        {
            return;
        }

        dxa = dxa.ColRange(0, group.RankSum);
        var input = Input(group, layer, index, x, scratch);
        if (StackedGradient(gradients, group) is { } stacked)
        {
            backend.MatMul(dxa, true, input, false, stacked, accumulate: true);
            return;
        }

        foreach (var module in group.Modules)
        {
            backend.MatMul(
                dxa.ColRange(module.FirstRank, module.A.Rows), true, input, false,
                ParameterSet.Piece(gradients, module.A), accumulate: true);
        }
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
