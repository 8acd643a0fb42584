namespace Nibble.Tests.Models;

internal static class Difference
{
    /// <summary>|expected - actual| over |expected|, both as Euclidean norms.</summary>
    public static double Relative(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        var (difference, size) = (0.0, 0.0);
        for (var e = 0; e < expected.Length; e++)
        {
            difference += Math.Pow((double)expected[e] - actual[e], 2);
            size += Math.Pow(expected[e], 2);
        }

        return Math.Sqrt(difference / size);
    }
}
