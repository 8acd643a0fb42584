using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false)
    {
        var k = transposeA ? a.Rows : a.Cols;
        Guard.Shape(a, transposeA ? k : c.Rows, transposeA ? c.Rows : k);
        Guard.Shape(b, transposeB ? c.Cols : k, transposeB ? k : c.Cols);
        Product(Oriented(a, !transposeA), Oriented(b, transposeB), k, c, alpha, accumulate);
    }

    // Both operands with the summed index last.
    private static void Product(double[][] a, double[][] b, int k, TensorView c, double alpha, bool accumulate)
    {
        var cs = At(c);
        for (var i = 0; i < c.Rows; i++)
        {
            for (var j = 0; j < c.Cols; j++)
            {
                var (sum, left, right) = (0.0, a[i], b[j]);
                for (var p = 0; p < k; p++)
                {
                    sum += left[p] * right[p];
                }

                cs[i, j] = accumulate ? cs[i, j] + alpha * sum : alpha * sum;
            }
        }
    }

    private static double[][] Oriented(TensorView view, bool asStored)
    {
        var rows = At(view).ToRows();
        return asStored ? rows : Transposed(rows, view.Cols);
    }

    private static double[][] Transposed(double[][] rows, int cols)
    {
        var result = new double[cols][];
        for (var j = 0; j < cols; j++)
        {
            result[j] = Array.ConvertAll(rows, row => row[j]);
        }

        return result;
    }
}

internal static class MatMulCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Products(0, 8, 8),
        .. Products(4, 5, 0),
        .. Products(1, 1, 1),
        .. Products(5, 7, 3),
        .. Products(1, 65, 130),
        .. Products(33, 17, 65),
        .. Products(16, 64, 130),
        .. Products(8, 300, 37),
        .. Products(129, 31, 200),
        // Past every block of a packed product: rows, columns and depth.
        Large(false, false), Large(false, true), Large(true, false), Large(true, true),
        // Large enough for a library to be timed on, and aligned as its fastest kernels want it: those may round before
        // they add.
        Tuned(false), Tuned(true),
        // Short sums into many columns, as adapters have them: edges inside a block of the kernel made for them.
        .. Short(70, 264, 24), .. Short(65, 392, 8), .. Short(130, 392, 64), .. Short(8, 272, 40),
        // Long sums into few columns, and sums over tokens with few columns, as adapters have them: tiles, splits and
        // ranks of the kernels made for them, between columns that are not theirs.
        .. Rows(1, 264, 8), .. Rows(3, 1000, 4), .. Rows(17, 520, 24), .. Rows(63, 328, 12), .. Rows(65, 2056, 24),
        .. Rows(320, 264, 8), .. Rows(33, 3080, 16), .. Rows(70, 520, 64), .. Rows(1000, 264, 16),
        .. Rows(1000, 1288, 5),
        .. Tokens(1, 264, 8), .. Tokens(3, 72, 4), .. Tokens(17, 520, 24), .. Tokens(63, 136, 12),
        .. Tokens(65, 392, 8), .. Tokens(320, 264, 24), .. Tokens(320, 40, 22), .. Tokens(1000, 200, 16),
        .. Tokens(601, 72, 64),
        .. Adapter(0, 64, 16), .. Adapter(1, 64, 8), .. Adapter(7, 33, 5), .. Adapter(40, 96, 16),
    ];

    private static IEnumerable<OpCase> Products(int m, int n, int k)
    {
        foreach (var (ta, tb) in new[] { (false, false), (false, true), (true, false), (true, true) })
        {
            var name = $"M={m} N={n} K={k}{(ta ? " aᵀ" : "")}{(tb ? " bᵀ" : "")}";
            OpCase[] cases =
            [
                new("MatMul", name, s => Multiply(s, m, n, k, ta, tb, false, 1, false)),
                new("MatMul", $"{name}, scaled, added in F32", s => Multiply(s, m, n, k, ta, tb, true, -0.5f, true)),
                new("MatMul", $"{name}, F32 operands", s => MultiplyReal(s, m, n, k, ta, tb)),
            ];
            foreach (var one in cases.SelectMany(c => c.InBothLayouts()))
            {
                yield return one;
            }
        }
    }

    private static OpCase Large(bool ta, bool tb) => new(
        "MatMul", $"M=150 N=785 K=520{(ta ? " aᵀ" : "")}{(tb ? " bᵀ" : "")}, added",
        s => Multiply(s, 150, 785, 520, ta, tb, false, 1, true));

    private static OpCase Tuned(bool tb) => new(
        "MatMul", $"M=136 N=512 K=264{(tb ? " bᵀ" : "")}, added",
        s => Multiply(s, 136, 512, 264, false, tb, false, 1, true));

    private static IEnumerable<OpCase> Short(int m, int n, int k)
    {
        foreach (var tb in new[] { false, true })
        {
            var name = $"M={m} N={n} K={k}{(tb ? " bᵀ" : "")}, short sum";
            yield return new("MatMul", name, s => Multiply(s, m, n, k, false, tb, false, 0.5f, false));
            yield return new("MatMul", $"{name}, added", s => Multiply(s, m, n, k, false, tb, false, 1, true));
        }
    }

    private static IEnumerable<OpCase> Rows(int t, int k, int r)
    {
        foreach (var tb in new[] { false, true })
        {
            var name = $"T={t} K={k} R={r}{(tb ? " bᵀ" : "")}, thin rows";
            yield return new("MatMul", name, s => Thin(s, t, r, k, false, tb, false, 0.5f, false));
            yield return new("MatMul", $"{name}, added", s => Thin(s, t, r, k, false, tb, false, 1, true));
        }
    }

    private static IEnumerable<OpCase> Tokens(int t, int w, int r)
    {
        foreach (var (m, n) in new[] { (w, r), (r, w) })
        {
            var name = $"T={t} M={m} N={n}, sums over tokens";
            yield return new("MatMul", name, s => Thin(s, m, n, t, true, false, true, -0.5f, false));
            yield return new("MatMul", $"{name}, added", s => Thin(s, m, n, t, true, false, true, 2, true));
        }
    }

    private static OpCase[] Adapter(int t, int c, int r) =>
        new OpCase("MatMul", $"LoRA T={t} C={c} R={r}", s => Adapter(s, t, c, r)) { HasGradient = true }
            .InBothLayouts();

    private static void Multiply(
        OpScope s, int m, int n, int k, bool ta, bool tb, bool real, float alpha, bool accumulate)
    {
        var a = s.Input("a", ta ? k : m, ta ? m : k);
        var b = s.Input("b", tb ? n : k, tb ? k : n);
        // Which type the numbers are rounded to is the case's, not the backend's: in the reference both are F64.
        var c = accumulate
            ? real ? s.RealInput("c", s.Normal(m, n)) : s.Input("c", m, n)
            : s.Fresh(real ? s.Real : s.Activation, m, n);
        s.Expect("c", c, new Tolerance(ToleranceClass.Product, k + 1));
        s.Backend.MatMul(a, ta, b, tb, c, alpha, accumulate);
    }

    // Operands are ranges of wider matrices, at 16 bytes where their width allows it; the whole of c is compared.
    private static void Thin(
        OpScope s, int m, int n, int k, bool ta, bool tb, bool real, float alpha, bool accumulate)
    {
        const int left = 8, around = 24;
        var (aCols, bCols) = (ta ? m : k, tb ? k : n);
        var a = s.Input("a", ta ? k : m, aCols + around).ColRange(left, aCols);
        var b = s.Input("b", tb ? n : k, bCols + around).ColRange(left, bCols);
        var c = real ? s.RealInput("c", s.Normal(m, n + around)) : s.Input("c", m, n + around);
        s.Expect("c", c, new Tolerance(ToleranceClass.Product, k + 1));
        s.Backend.MatMul(a, ta, b, tb, c.ColRange(left, n), alpha, accumulate);
    }

    private static void MultiplyReal(OpScope s, int m, int n, int k, bool ta, bool tb)
    {
        var a = s.RealInput("a", s.Normal(ta ? k : m, ta ? m : k));
        var b = s.RealInput("b", s.Normal(tb ? n : k, tb ? k : n));
        s.Backend.MatMul(a, ta, b, tb, s.Output("c", s.Real, m, n, new Tolerance(ToleranceClass.Product, k + 1)));
    }

    // y += x Aᵀ Bᵀ and all four gradients, the calls of one adapter.
    private static void Adapter(OpScope s, int t, int c, int r)
    {
        var (x, a, b) = (s.Input("x", t, c), s.Input("A", r, c, 0.2), s.Input("B", c, r, 0.2));
        var (y, dy, u, du) =
            (s.Input("y", t, c), s.Input("dy", t, c), s.Fresh(s.Activation, t, r), s.Fresh(s.Activation, t, r));
        s.Backend.MatMul(x, false, a, true, u);
        s.Backend.MatMul(u, false, b, true, y, 1, true);
        s.Loss(y, dy);
        s.Expect("y", y, new Tolerance(ToleranceClass.Chain, c + r));
        var (da, db) = (s.RealInput("dA", s.Normal(r, c)), s.RealInput("dB", s.Normal(c, r)));
        var dx = s.Input("dx", t, c);
        s.Gradient("B", db, true);
        s.Gradient("A", da, true);
        s.Gradient("x", dx, true);
        // Two products in a row: u and du are rounded to the activation type between them.
        s.Expect("dA", da, new Tolerance(ToleranceClass.Chain, t + c));
        s.Expect("dB", db, new Tolerance(ToleranceClass.Chain, t + c));
        s.Expect("dx", dx, new Tolerance(ToleranceClass.Chain, r + c));
        s.Backend.MatMul(dy, true, u, false, db, 1, true);
        s.Backend.MatMul(dy, false, b, false, du);
        s.Backend.MatMul(du, true, x, false, da, 1, true);
        s.Backend.MatMul(du, false, a, false, dx, 1, true);
    }
}
