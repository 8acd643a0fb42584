using Nibble.Tensors;

namespace Nibble.Ops;

/// <summary>What a comparison found.</summary>
/// <param name="Case">Case and backend.</param>
/// <param name="Passed">Whether every element is within its limit.</param>
/// <param name="Worst">Largest error as a share of its limit; infinite where no error is allowed and there is
/// one.</param>
/// <param name="Where">Output, row and column of the worst element, with both values and the limit.</param>
public sealed record OpDifference(string Case, bool Passed, double Worst, string Where)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Case}: {(Passed ? "ok" : "FAILED")}, "
        + $"worst error {Worst:G3} of its limit{(Where.Length == 0 ? "" : $" at {Where}")}";
}

/// <summary>The three checks every case goes through.</summary>
public static class OpCheck
{
    private const double StepSize = 1e-5;

    /// <summary>Runs a case on a backend and on the reference, and compares.</summary>
    /// <param name="opCase">The case.</param>
    /// <param name="backend">The backend.</param>
    /// <param name="expected">What <see cref="OpRunner.RunReference"/> gave earlier, or null to run it.</param>
    public static OpDifference Values(OpCase opCase, IBackend backend, IReadOnlyList<OpOutput>? expected = null)
    {
        ArgumentNullException.ThrowIfNull(opCase);
        ArgumentNullException.ThrowIfNull(backend);
        expected ??= OpRunner.RunReference(opCase, backend.ActivationType);
        return Compare(
            $"{opCase.Id} on {backend.Name}", expected, OpRunner.Run(opCase, backend), backend.ActivationType);
    }

    /// <summary>Runs a case on each of two backends (or twice on one) and compares bits.</summary>
    /// <param name="opCase">The case.</param>
    /// <param name="first">A backend.</param>
    /// <param name="second">The same, or another of its kind.</param>
    public static OpDifference SameBits(OpCase opCase, IBackend first, IBackend second)
    {
        ArgumentNullException.ThrowIfNull(opCase);
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        var exact = OpRunner.Run(opCase, first)
            .Select(o => o with { Tolerance = new Tolerance(ToleranceClass.Exact) }).ToList();
        return Compare(
            $"{opCase.Id} on {first.Name} and {second.Name}", exact, OpRunner.Run(opCase, second),
            first.ActivationType);
    }

    /// <summary>
    /// Compares the gradients a case claims with central differences of its own forward pass, on the reference in
    /// double. Small inputs are moved element by element, large ones along random directions: a wrong gradient is
    /// orthogonal to none of them.
    /// </summary>
    /// <param name="opCase">A case with <see cref="OpCase.HasGradient"/>.</param>
    public static OpDifference Gradient(OpCase opCase)
    {
        ArgumentNullException.ThrowIfNull(opCase);
        using var reference = new ReferenceBackend();
        using var scope = new OpScope(opCase, reference, DType.F64, null);
        opCase.Body(scope);
        scope.Collect();
        var worst = new OpDifference(opCase.Id, true, 0, "");
        foreach (var (input, gradient, before) in scope.Gradients)
        {
            var after = scope.Read(gradient);
            if (after.Length != scope.Inputs[input].Length)
            {
                throw new InvalidOperationException($"{opCase.Id}: {input} and its gradient {gradient} differ in size");
            }

            var directions = after.Length <= 12 ? after.Length : 4;
            for (var k = 0; k < directions; k++)
            {
                Func<int, double> direction = after.Length <= 12 ? i => i == k ? 1 : 0 : i => Sign(k, i);
                var (claimed, size) = (0.0, 0.0);
                for (var i = 0; i < after.Length; i++)
                {
                    claimed += (after[i] - before[i]) * direction(i);
                    size += Math.Abs((after[i] - before[i]) * direction(i));
                }

                var difference = (Moved(opCase, reference, new Perturbation(input, StepSize, direction))
                    - Moved(opCase, reference, new Perturbation(input, -StepSize, direction))) / (2 * StepSize);
                // Central differences: h² of the third derivative (along a direction of length √n), and the loss's own
                // rounding over h.
                var limit = 1e-6 * (size + Math.Abs(scope.LossValue) * 1e-3 + 1);
                worst = Worse(worst, Math.Abs(claimed - difference), limit,
                    () => $"d loss / d {input}, direction {k}: claimed {claimed:G9}, difference {difference:G9}");
            }
        }

        return scope.Gradients.Count > 0
            ? worst
            : throw new InvalidOperationException($"{opCase.Id} has {nameof(OpCase.HasGradient)} and claims none");
    }

    /// <summary>Compares outputs with what the reference gave.</summary>
    /// <param name="what">Case and backend, for the message.</param>
    /// <param name="expected">The reference's.</param>
    /// <param name="actual">The backend's.</param>
    /// <param name="activations">Activation type of the backend.</param>
    public static OpDifference Compare(
        string what, IReadOnlyList<OpOutput> expected, IReadOnlyList<OpOutput> actual, DType activations)
    {
        ArgumentNullException.ThrowIfNull(expected);
        ArgumentNullException.ThrowIfNull(actual);
        var worst = new OpDifference(what, true, 0, "");
        for (var o = 0; o < expected.Count; o++)
        {
            var (want, got) = (expected[o], actual[o]);
            worst = want.Tolerance.Class == ToleranceClass.Codes
                ? CompareCodes(worst, want, got)
                : CompareNumbers(worst, want, got, activations);
        }

        return worst;
    }

    private static OpDifference CompareNumbers(OpDifference worst, OpOutput want, OpOutput got, DType activations)
    {
        var rms = Rms(want.Values);
        for (var i = 0; i < want.Values.Length; i++)
        {
            var (x, y) = (want.Values[i], got.Values[i]);
            var same = want.Tolerance.Class == ToleranceClass.Exact
                ? x.Equals(y) && (double.IsNaN(x) || double.IsNegative(x) == double.IsNegative(y))
                : x.Equals(y);
            if (!same)
            {
                var limit = want.Tolerance.Limit(x, rms, activations, got.Type);
                worst = Worse(worst, Math.Abs(x - y), limit, () => Place(want, i, y, limit));
            }
        }

        return worst;
    }

    private static OpDifference CompareCodes(OpDifference worst, OpOutput want, OpOutput got)
    {
        var apart = 0;
        for (var i = 0; i < want.Values.Length; i++)
        {
            var steps = Math.Abs(want.Values[i] - got.Values[i]);
            apart += steps > 0 ? 1 : 0;
            worst = Worse(worst, steps, 1, () => Place(want, i, got.Values[i], 1));
        }

        var allowed = Math.Ceiling(Tolerance.CodeShare * want.Values.Length);
        return Worse(
            worst, apart, allowed,
            () => $"{want.Name}: {apart} codes of {want.Values.Length} are one step apart, {allowed} allowed");
    }

    private static string Place(OpOutput want, int i, double got, double limit) =>
        $"{want.Name}[{i / want.Cols}, {i % want.Cols}] of [{want.Rows}, {want.Cols}]: expected {want.Values[i]:G9}, "
        + $"got {got:G9}, limit {limit:G3}";

    private static OpDifference Worse(OpDifference worst, double error, double limit, Func<string> where)
    {
        // A NaN error compares false with everything: it is the worst there is.
        var share = error == 0 ? 0 : double.IsNaN(error) || limit == 0 ? double.PositiveInfinity : error / limit;
        return share > worst.Worst
            ? worst with { Passed = worst.Passed && share <= 1, Worst = share, Where = where() }
            : worst;
    }

    private static double Rms(double[] values)
    {
        var (sum, count) = (0.0, 0);
        foreach (var value in values)
        {
            if (double.IsFinite(value))
            {
                (sum, count) = (sum + value * value, count + 1);
            }
        }

        return count == 0 ? 0 : Math.Sqrt(sum / count);
    }

    private static double Moved(OpCase opCase, IBackend reference, Perturbation perturbation)
    {
        using var scope = new OpScope(opCase, reference, DType.F64, perturbation);
        opCase.Body(scope);
        return scope.LossValue;
    }

    private static double Sign(int k, int i) => (Philox.Words(77, (ulong)i, (ulong)k).X & 1) == 0 ? 1 : -1;
}
