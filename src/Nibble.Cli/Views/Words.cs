using System.Globalization;

namespace Nibble.Cli.Views;

/// <summary>Numbers as people read them.</summary>
internal static class Words
{
    /// <summary>1,388.</summary>
    public static string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>1 warning, 2 warnings.</summary>
    public static string Plural(long value, string noun) => $"{Count(value)} {noun}{(value == 1 ? "" : "s")}";

    /// <summary>4.53 GiB.</summary>
    public static string Bytes(long value)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB"];
        var (size, unit) = ((double)value, 0);
        while (size >= 1024 && unit < units.Length - 1)
        {
            (size, unit) = (size / 1024, unit + 1);
        }

        return unit == 0 ? $"{value} B" : string.Create(CultureInfo.InvariantCulture, $"{size:0.00} {units[unit]}");
    }

    /// <summary>0.8 s, 12 s, 3:07, 1:02:45.</summary>
    public static string Duration(double seconds)
    {
        if (!double.IsFinite(seconds) || seconds < 0)
        {
            return "?";
        }

        if (seconds < 60)
        {
            return string.Create(CultureInfo.InvariantCulture, $"{seconds.ToString(seconds < 10 ? "0.0" : "0")} s");
        }

        var whole = (long)Math.Round(seconds);
        return whole < 3600
            ? $"{whole / 60}:{whole % 60:00}"
            : $"{whole / 3600}:{whole / 60 % 60:00}:{whole % 60:00}";
    }

    /// <summary>23.4 %.</summary>
    public static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.0} %");

    /// <summary>A loss with four decimals.</summary>
    public static string Loss(double value) =>
        double.IsNaN(value) ? "-" : value.ToString("0.0000", CultureInfo.InvariantCulture);

    /// <summary>A learning rate, as 2.00e-04.</summary>
    public static string Rate(double value) => value.ToString("0.00e+00", CultureInfo.InvariantCulture);

    /// <summary>Steps, the middle of many left out: 100, 200, 300, … 1000 (10 in all).</summary>
    public static string Points(IReadOnlyList<int> points) => points.Count switch
    {
        0 => "never",
        <= 6 => string.Join(", ", points),
        _ => $"{string.Join(", ", points.Take(4))}, … {points[^1]} ({points.Count} in all)",
    };
}
