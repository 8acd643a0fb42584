using System.Text;
using Nibble.Tensors;

namespace Nibble.Ops;

/// <summary>How an output comes about, which decides how far it may lie from the reference.</summary>
public enum ToleranceClass
{
    /// <summary>The same bits.</summary>
    Exact,

    /// <summary>8-bit codes found by comparing numbers that carry rounding.</summary>
    Codes,

    /// <summary>A few operations per element.</summary>
    Elementwise,

    /// <summary>An exponential or a logarithm per element.</summary>
    Function,

    /// <summary>Elements scaled by a reduction over their row.</summary>
    Norm,

    /// <summary>Dot products over K terms.</summary>
    Product,

    /// <summary>A product of a product.</summary>
    Chain,

    /// <summary>Softmax-weighted sums over K keys.</summary>
    Attention,

    /// <summary>Gradients through the softmax over K keys.</summary>
    AttentionGradient,

    /// <summary>Moments and parameters of an optimizer step.</summary>
    Optimizer,
}

/// <summary>One row of the table in <c>docs/numerics.md</c>.</summary>
/// <param name="Class">How the output comes about.</param>
/// <param name="Type">Activation type of the backend.</param>
/// <param name="Own">a: units of the output's own size.</param>
/// <param name="Inner">b: units of the tensor's root mean square, from values rounded on the way.</param>
/// <param name="Summed">c: binary32 units of the root mean square, times the square root of the terms summed.</param>
/// <param name="Reason">Why these and not smaller.</param>
public sealed record ToleranceRow(
    ToleranceClass Class, DType Type, double Own, double Inner, double Summed, string Reason);

/// <summary>
/// The tolerance of one output: <c>|x - ref| ≤ (a |ref| + b rms) u(type) + c u(F32) √K max(|ref|, rms)</c>, with u =
/// 2^-24 for F32, 2^-8 for BF16, 2^-11 for F16 (half the gap between neighbours at 1) and rms over the whole reference
/// tensor. The unit at a is that of the type the output is stored in; a sum kept in F64 has all its units in F64.
/// </summary>
/// <param name="Class">How the output comes about.</param>
/// <param name="Terms">K, terms summed into an element.</param>
public readonly record struct Tolerance(ToleranceClass Class, int Terms = 1)
{
    /// <summary>Largest share of codes of <see cref="ToleranceClass.Codes"/> that may be one step apart.</summary>
    public const double CodeShare = 0.002;

    /// <summary>Every class and type.</summary>
    public static IReadOnlyList<ToleranceRow> Table { get; } =
    [
        new(ToleranceClass.Elementwise, DType.F32, 3, 8, 0,
            "at most four roundings; a sum of two products may cancel, its error is that of terms up to 4 rms"),
        new(ToleranceClass.Elementwise, DType.BF16, 1.01, 0, 8, "one rounding of a binary32 result as above"),
        new(ToleranceClass.Function, DType.F32, 40, 16, 2,
            "the argument of exp reaches 2^5 and its rounding becomes 2^5 u of the result; exp itself 2 u; "
            + "a softmax sums K of them"),
        new(ToleranceClass.Function, DType.BF16, 1.01, 0, 40, "one rounding of a binary32 result as above"),
        new(
            ToleranceClass.Norm, DType.F32, 4, 4, 4,
            "four roundings; the mean of K squares; a difference of two terms in the gradient"),
        new(ToleranceClass.Norm, DType.BF16, 3.1, 2, 8,
            "the normalised value is rounded before the weight: at a tie it may fall a whole gap (2 u) away, "
            + "and the result is rounded"),
        new(ToleranceClass.Product, DType.F32, 2, 2, 4,
            "K roundings of partial sums walk about 0.3 √K u rms; "
            + "the largest of 10^5 elements is 4.5 deviations: 1.4 √K"),
        new(
            ToleranceClass.Product, DType.BF16, 1.01, 0, 8,
            "one rounding of a binary32 sum; tensor cores cut instead of rounding"),
        new(ToleranceClass.Chain, DType.F32, 2, 4, 8, "the error of the first product goes through the second"),
        new(ToleranceClass.Chain, DType.BF16, 1.01, 6, 8,
            "the first product is rounded: an error below u of each term, summed like the terms, 6 deviations"),
        new(ToleranceClass.Attention, DType.F32, 8, 32, 4, "softmax as Function, weighted sum as Product"),
        new(
            ToleranceClass.Attention, DType.BF16, 1.1, 4, 8,
            "p is rounded before p v: K errors of u p v, at most those of one term"),
        new(ToleranceClass.AttentionGradient, DType.F32, 8, 96, 8,
            "as Attention; where p is peaked, dp - δ cancels down from several rms of dp"),
        new(ToleranceClass.AttentionGradient, DType.BF16, 2, 16, 8,
            "p, ds and o are rounded before they are multiplied, δ is made of rounded o, and dp - δ cancels"),
        new(ToleranceClass.Optimizer, DType.F32, 6, 6, 0,
            "moments and parameters are F32 everywhere: six operations, each rounded, and β m + (1-β) g may cancel"),
        new(ToleranceClass.Optimizer, DType.BF16, 0, 0, 12, "F32 as above, although activations are BF16"),
    ];

    /// <summary>Unit roundoff of a type.</summary>
    /// <param name="type">F32, BF16 or F64.</param>
    public static double Unit(DType type) => type switch
    {
        DType.F32 => Math.Pow(2, -24),
        DType.BF16 => Math.Pow(2, -8),
        DType.F16 => Math.Pow(2, -11),
        DType.F64 => Math.Pow(2, -53),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "expected a floating-point type"),
    };

    /// <summary>The table as it stands in <c>docs/numerics.md</c>.</summary>
    public static string ToMarkdown()
    {
        var text = new StringBuilder("| class | activations | a | b | c | why |\n|---|---|---|---|---|---|\n");
        foreach (var row in Table)
        {
            text.Append($"| {row.Class} | {row.Type} | {row.Own} | {row.Inner} | {row.Summed} | {row.Reason} |\n");
        }

        return text.ToString();
    }

    /// <summary>How far an element may lie from the reference.</summary>
    /// <param name="reference">The element.</param>
    /// <param name="rms">Root mean square of its tensor.</param>
    /// <param name="activations">Activation type of the backend.</param>
    /// <param name="storage">Type the output is stored in.</param>
    public double Limit(double reference, double rms, DType activations, DType storage)
    {
        if (Class == ToleranceClass.Exact)
        {
            return 0;
        }

        // An F32 output of a BF16 backend is not rounded at the end; values rounded on the way (b) still count. A sum
        // kept in F64 has been nothing else.
        var row = Row(activations);
        var inner = Unit(storage == DType.F64 ? DType.F64 : activations);
        var summed = Unit(storage == DType.F64 ? DType.F64 : DType.F32);
        return row.Own * Unit(storage) * Math.Abs(reference) + row.Inner * inner * rms
            + row.Summed * summed * Math.Sqrt(Terms) * Math.Max(rms, Math.Abs(reference));
    }

    private ToleranceRow Row(DType activations)
    {
        foreach (var row in Table)
        {
            if (row.Class == Class && row.Type == (activations == DType.BF16 ? DType.BF16 : DType.F32))
            {
                return row;
            }
        }

        throw new InvalidOperationException($"no tolerance for {Class} with {activations} activations");
    }
}
