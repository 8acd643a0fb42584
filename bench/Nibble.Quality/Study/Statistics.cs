namespace Nibble.Quality.Study;

/// <summary>A mean with what is known about it.</summary>
/// <param name="Count">Values.</param>
/// <param name="Mean">Mean.</param>
/// <param name="Deviation">Standard deviation of the values (n - 1); NaN for one value.</param>
internal readonly record struct Estimate(int Count, double Mean, double Deviation)
{
    // Two-sided 95 % points of Student's t by degrees of freedom, from 1 to 9.
    private static readonly double[] T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

    /// <summary>Half the width of the 95 % interval of the mean; NaN for one value, for which there is none.</summary>
    public double HalfWidth =>
        Count < 2 ? double.NaN : T95[Math.Min(Count - 2, T95.Length - 1)] * Deviation / Math.Sqrt(Count);

    /// <summary>Lower end of the interval.</summary>
    public double Low => Mean - HalfWidth;

    /// <summary>Upper end of the interval.</summary>
    public double High => Mean + HalfWidth;

    /// <summary>From values.</summary>
    /// <param name="values">At least one.</param>
    public static Estimate Of(IReadOnlyList<double> values)
    {
        var mean = values.Average();
        var deviation = values.Count < 2
            ? double.NaN
            : Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1));
        return new Estimate(values.Count, mean, deviation);
    }

    /// <summary>Ratios of values that belong together: runs with the same seed see the
    /// same rows in the same order.</summary>
    /// <param name="values">Values by seed.</param>
    /// <param name="yardstick">What they are divided by; seeds that only one side has are left out.</param>
    /// <exception cref="ArgumentException">They share no seed.</exception>
    public static Estimate OfRatio(IReadOnlyDictionary<int, double> values, IReadOnlyDictionary<int, double> yardstick)
    {
        double[] ratios = [.. values.Where(v => yardstick.ContainsKey(v.Key)).Select(v => v.Value / yardstick[v.Key])];
        return ratios.Length > 0
            ? Of(ratios)
            : throw new ArgumentException("expected runs with the same seed, found none");
    }

    /// <summary>What is known about "at most this much": yes, no, or what the mean says where the
    /// interval does not decide.</summary>
    /// <param name="limit">Limit.</param>
    public Verdict AtMost(double limit) =>
        Count > 1 && High <= limit ? Verdict.Holds
        : Count > 1 && Low > limit ? Verdict.Fails
        : Mean <= limit ? Verdict.HoldsOnAverage : Verdict.FailsOnAverage;
}

/// <summary>How a claim stands.</summary>
internal enum Verdict
{
    /// <summary>The whole interval is within.</summary>
    Holds,

    /// <summary>The mean is within, the interval is not.</summary>
    HoldsOnAverage,

    /// <summary>The mean is not within, the interval reaches in.</summary>
    FailsOnAverage,

    /// <summary>The whole interval is outside.</summary>
    Fails,
}
