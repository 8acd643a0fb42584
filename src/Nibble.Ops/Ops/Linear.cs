using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Linear(TensorView x, FrozenLinear weight, TensorView y)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Guard.Shape(x, y.Rows, weight.In);
        Guard.Shape(y, x.Rows, weight.Out);
        Product(At(x).ToRows(), Numbers(weight), weight.In, y, 1, false);
        if (!weight.Bias.IsNone)
        {
            Guard.Shape(weight.Bias, 1, weight.Out);
            var (ys, bias) = (At(y), At(weight.Bias));
            for (var t = 0; t < y.Rows; t++)
            {
                for (var j = 0; j < y.Cols; j++)
                {
                    ys[t, j] += bias[j];
                }
            }
        }
    }

    /// <inheritdoc/>
    public void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Guard.Shape(dy, dx.Rows, weight.Out);
        Guard.Shape(dx, dy.Rows, weight.In);
        Product(At(dy).ToRows(), Transposed(Numbers(weight), weight.In), weight.Out, dx, 1, accumulate);
    }

    // W as the multiplication sees it: dense numbers, or 4-bit codes dequantised and rounded once to the activation
    // type.
    private double[][] Numbers(FrozenLinear weight)
    {
        if (weight.Quantized.Length == 0)
        {
            return At(weight.Dense).ToRows();
        }

        var rows = new List<double[]>(weight.Out);
        foreach (var part in weight.Quantized)
        {
            var values = Dequantized(part);
            for (var i = 0; i < part.Rows; i++)
            {
                rows.Add(Array.ConvertAll(values[(i * part.Cols)..((i + 1) * part.Cols)], v => Round(v)));
            }
        }

        return [.. rows];
    }
}

internal static class LinearCases
{
    private enum Bias
    {
        None,
        Activation,
        Single,
    }

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Quantised(0, [64], 64, FourBitCode.Nf4, true, Bias.None),
        .. Quantised(1, [64], 64, FourBitCode.Nf4, true, Bias.Activation),
        .. Quantised(1, [130], 192, FourBitCode.Nf4, false, Bias.None),
        .. Quantised(2, [3], 5, FourBitCode.Nf4, false, Bias.Single),
        .. Quantised(7, [33], 70, FourBitCode.Fp4, true, Bias.None),
        .. Quantised(5, [64, 32, 32], 64, FourBitCode.Nf4, true, Bias.Activation),
        .. Quantised(3, [5, 3, 7], 71, FourBitCode.Nf4, true, Bias.Single),
        .. Quantised(33, [48, 48], 100, FourBitCode.Fp4, false, Bias.None),
        .. Quantised(17, [256], 128, FourBitCode.Nf4, true, Bias.None),
        .. Quantised(70, [300, 290], 576, FourBitCode.Nf4, true, Bias.Activation, large: true),
        .. Quantised(65, [136, 136], 192, FourBitCode.Nf4, true, Bias.Single, large: true),
        .. Quantised(1, [500], 1100, FourBitCode.Nf4, true, Bias.None, large: true),
        // What short steps take: tiles of 64 to 224 tokens and of 128 or 256 outputs, and some that are not whole.
        .. Quantised(33, [72], 128, FourBitCode.Nf4, true, Bias.Activation, large: true),
        .. Quantised(64, [8, 264], 64, FourBitCode.Fp4, true, Bias.None, large: true),
        .. Quantised(100, [261], 64, FourBitCode.Nf4, true, Bias.None, large: true),
        .. Quantised(127, [260], 128, FourBitCode.Nf4, false, Bias.Single, large: true),
        .. Quantised(129, [64, 8, 24], 448, FourBitCode.Fp4, false, Bias.Activation, large: true),
        .. Quantised(216, [136], 320, FourBitCode.Nf4, true, Bias.None, large: true),
        .. Quantised(174, [16, 40], 192, FourBitCode.Nf4, true, Bias.Activation, large: true),
        .. Quantised(224, [48], 64, FourBitCode.Nf4, true, Bias.None, large: true),
        .. Quantised(256, [40], 64, FourBitCode.Nf4, true, Bias.None, large: true),
        // Few outputs and long sums, which are split: forward, then backward.
        .. Quantised(65, [8], 2048, FourBitCode.Nf4, true, Bias.Single, large: true),
        .. Quantised(34, [1600, 456], 64, FourBitCode.Nf4, true, Bias.None, large: true),
        .. Dense(0, 9, 8, false), .. Dense(1, 65, 33, false), .. Dense(6, 32, 64, false), .. Dense(5, 129, 67, true),
        .. Dense(2, 300, 96, true),
        // Long sums that cancel against a bias: a product rounded before the bias is added shows.
        .. Quantised(63, [6], 2048, FourBitCode.Nf4, true, Bias.Activation, large: true),
        .. Quantised(48, [512], 4096, FourBitCode.Nf4, true, Bias.Activation, large: true),
    ];

    /// <summary>A seeded 4-bit matrix whose second block, if there is one, is all zero.</summary>
    public static QuantizedMatrix Matrix(OpScope s, int rows, int cols, FourBitCode code, bool nested)
    {
        using var reference = new ReferenceBackend();
        var (n, blocks) = (rows * cols, QuantizedMatrix.BlockCount((long)rows * cols));
        using var memory = reference.Allocate((n * 4L) + n + (blocks * 9L) + 8 * Arena.Alignment);
        var arena = new Arena(memory);
        var values = s.Normal(rows, cols, 0.05);
        var (dense, codes) = (arena.Allocate(DType.F32, rows, cols), arena.Allocate(DType.U8, 1, (n + 1) / 2));
        var (scales, bytes) = (arena.Allocate(DType.F32, 1, blocks), arena.Allocate(DType.U8, 1, blocks));
        var nestedScales = arena.Allocate(
            DType.F32, 1, (blocks + QuantizedMatrix.NestedBlockSize - 1) / QuantizedMatrix.NestedBlockSize);
        var elements = new Elements(dense);
        for (var i = 0; i < n; i++)
        {
            elements[i / cols, i % cols] = i / QuantizedMatrix.BlockSize == 1 ? 0 : values[i / cols, i % cols];
        }

        reference.Quantize4Bit(dense, code, codes, scales);
        var offset = nested ? reference.QuantizeAbsMax(scales, bytes, nestedScales) : 0;
        return new QuantizedMatrix(
            code, rows, cols, Copy(s, codes), Copy(s, nested ? bytes : scales),
            nested ? Copy(s, nestedScales) : TensorView.None,
            nested ? s.Gapless(DType.F32, 1, 256, i => CodeTables.Signed[i]) : TensorView.None, offset);
    }

    private static IEnumerable<OpCase> Quantised(
        int t, int[] rows, int k, FourBitCode code, bool nested, Bias bias, bool large = false)
    {
        var name = $"T={t} N={string.Join('+', rows)} K={k} "
            + $"{code}{(nested ? " nested" : "")}{(bias == Bias.None ? "" : $" bias {bias}")}";
        OpCase[] cases =
        [
            new("Linear", name, s => Forward(s, t, Weight(s, rows, k, code, nested, bias, false))),
            new("Linear", $"{name}, resident", s => Forward(s, t, Weight(s, rows, k, code, nested, bias, true))),
            new("LinearBackward", name, s => Backward(s, t, Weight(s, rows, k, code, nested, bias, false), false))
            {
                HasGradient = !large,
            },
            new(
                "LinearBackward", $"{name}, added",
                s => Backward(s, t, Weight(s, rows, k, code, nested, bias, false), true))
            {
                HasGradient = !large,
            },
            new(
                "LinearBackward", $"{name}, resident",
                s => Backward(s, t, Weight(s, rows, k, code, nested, bias, true), false)),
        ];
        return large ? cases : cases.SelectMany(c => c.InBothLayouts());
    }

    private static IEnumerable<OpCase> Dense(int t, int n, int k, bool half)
    {
        var name = $"T={t} N={n} K={k} dense{(half ? " BF16" : "")}";
        OpCase[] cases =
        [
            new("Linear", name, s => Forward(s, t, DenseWeight(s, n, k, half))),
            new("LinearBackward", name, s => Backward(s, t, DenseWeight(s, n, k, half), false)) { HasGradient = true },
            new(
                "LinearBackward", $"{name}, added",
                s => Backward(s, t, DenseWeight(s, n, k, half), true)) { HasGradient = true },
        ];
        return cases.SelectMany(c => c.InBothLayouts());
    }

    private static FrozenLinear DenseWeight(OpScope s, int n, int k, bool half) =>
        new(
            s.Input("W", half ? DType.BF16 : s.Activation, n, k, 0.1),
            BiasOf(s, n, half ? Bias.None : Bias.Activation));

    private static FrozenLinear Weight(
        OpScope s, int[] rows, int k, FourBitCode code, bool nested, Bias bias, bool resident)
    {
        var parts = Array.ConvertAll(rows, n => Matrix(s, n, k, code, nested));
        var weight = new FrozenLinear(parts, BiasOf(s, rows.Sum(), bias));
        if (resident)
        {
            var (dense, at) = (s.Gapless(s.Activation, weight.Out, k), 0);
            foreach (var part in parts)
            {
                s.Backend.Dequantize4Bit(part, dense.RowRange(at, part.Rows));
                at += part.Rows;
            }

            weight.Dense = dense;
        }
        else if (s.Backend.NeedsDequantizationScratch)
        {
            s.Backend.DequantizationScratch = s.Gapless(s.Activation, weight.Out, k);
        }

        return weight;
    }

    private static TensorView BiasOf(OpScope s, int n, Bias bias) => bias switch
    {
        Bias.Activation => s.Input("bias", 1, n),
        Bias.Single => s.RealInput("bias", s.Normal(1, n)),
        _ => TensorView.None,
    };

    private static void Forward(OpScope s, int t, FrozenLinear weight)
    {
        var x = s.Input("x", t, weight.In);
        s.Backend.Linear(
            x, weight,
            s.Output("y", s.Activation, t, weight.Out, new Tolerance(ToleranceClass.Product, weight.In + 1)));
    }

    private static void Backward(OpScope s, int t, FrozenLinear weight, bool accumulate)
    {
        var (x, dy, y) =
            (s.Input("x", t, weight.In), s.Input("dy", t, weight.Out), s.Fresh(s.Activation, t, weight.Out));
        s.Backend.Linear(x, weight, y);
        s.Loss(y, dy);
        var dx = accumulate ? s.Input("dx", t, weight.In) : s.Fresh(s.Activation, t, weight.In);
        if (s.ClaimsGradient)
        {
            s.Gradient("x", dx, accumulate);
        }

        s.Expect("dx", dx, new Tolerance(ToleranceClass.Product, weight.Out + 1));
        s.Backend.LinearBackward(dy, weight, dx, accumulate);
    }

    private static TensorView Copy(OpScope s, TensorView host)
    {
        var rows = new Elements(host).ToRows()[0];
        return s.Gapless(host.DType, 1, host.Cols, i => rows[i]);
    }
}
