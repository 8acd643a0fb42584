using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale)
    {
        Guard.Shape(targets, 1, logits.Rows);
        Guard.Shape(losses, 1, logits.Rows);
        var (z, target, loss) = (At(logits), At(targets), At(losses));
        for (var i = 0; i < logits.Rows; i++)
        {
            var (max, sum) = (double.NegativeInfinity, 0.0);
            for (var v = 0; v < logits.Cols; v++)
            {
                max = Math.Max(max, z[i, v]);
            }

            for (var v = 0; v < logits.Cols; v++)
            {
                sum += Math.Exp(z[i, v] - max);
            }

            var logSum = max + Math.Log(sum);
            loss[i] = logSum - z[i, target.Int(i)];
            for (var v = 0; gradientScale != 0 && v < logits.Cols; v++)
            {
                z[i, v] = gradientScale * (Math.Exp(z[i, v] - logSum) - (v == target.Int(i) ? 1 : 0));
            }
        }
    }

    /// <inheritdoc/>
    public void AccumulateSum(TensorView values, double scale, TensorView total)
    {
        Guard.Shape(values, 1, values.Cols);
        Guard.Shape(total, 1, 1);
        Guard.Type(total, DType.F64);
        var (xs, sum) = (At(values), 0.0);
        for (var i = 0; i < values.Cols; i++)
        {
            sum += xs[i] * scale;
        }

        var totals = At(total);
        totals[0] += sum;
    }
}
