using System.Globalization;

namespace Nibble.Config;

/// <summary>
/// Scalars as people who come from Python write them: the booleans of YAML 1.1, floats such as <c>1e-4</c> that only
/// YAML 1.2 knows, and underscores in numbers.
/// </summary>
internal static class ScalarReader
{
    public static bool IsNull(ScalarNode node) =>
        node.Text.Length == 0 || (node.Plain && node.Text is "~" or "null" or "Null" or "NULL");

    public static bool IsBooleanWord(string text) => text.ToUpperInvariant() is
        "TRUE" or "FALSE" or "YES" or "NO" or "ON" or "OFF";

    public static bool TryBoolean(ScalarNode node, out bool value)
    {
        var word = node.Text.ToUpperInvariant();
        value = word is "TRUE" or "YES" or "ON" or "1";
        return value || word is "FALSE" or "NO" or "OFF" or "0";
    }

    /// <summary>A finite number; hexadecimal, octal and sexagesimal spellings are not numbers here.</summary>
    public static bool TryNumber(ScalarNode node, out double value)
    {
        var text = node.Text;
        value = 0;
        if (text.Length == 0 || text[0] == '_' || text[^1] == '_' || text.Contains("__", StringComparison.Ordinal))
        {
            return false;
        }

        const NumberStyles styles =
            NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        return double.TryParse(
            text.Replace("_", "", StringComparison.Ordinal), styles, CultureInfo.InvariantCulture, out value)
            && double.IsFinite(value);
    }

    /// <summary>A whole number within 32 bits; <c>8.0</c> and <c>1e3</c> are whole.</summary>
    public static bool TryInteger(ScalarNode node, out int value)
    {
        value = 0;
        if (IsOctalLooking(node.Text) || !TryNumber(node, out var number) || number != Math.Floor(number)
            || Math.Abs(number) > int.MaxValue)
        {
            return false;
        }

        value = (int)number;
        return true;
    }

    /// <summary><c>010</c> is eight to some YAML readers and ten to others.</summary>
    public static bool IsOctalLooking(string text)
    {
        var digits = text.AsSpan().TrimStart("+-");
        return digits.Length > 1 && digits[0] == '0' && char.IsAsciiDigit(digits[1]);
    }

    /// <summary>Bytes of <c>24GiB</c>, <c>24GB</c>, <c>512 MiB</c>; a bare number counts GiB, as in Axolotl.</summary>
    public static bool TrySize(ScalarNode node, out long bytes)
    {
        bytes = 0;
        var text = node.Text.AsSpan().Trim();
        var split = text.Length;
        while (split > 0 && char.IsAsciiLetter(text[split - 1]))
        {
            split--;
        }

        double? unit = text[split..].ToString().ToUpperInvariant() switch
        {
            "B" => 1,
            "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "TB" => 1e12,
            "KIB" => 1024,
            "MIB" => 1024.0 * 1024,
            "" or "GIB" => 1024.0 * 1024 * 1024,
            "TIB" => 1024.0 * 1024 * 1024 * 1024,
            _ => null,
        };
        var number = new ScalarNode(node.Origin, text[..split].TrimEnd().ToString(), plain: true);

        // 2^53 bytes: beyond it a double no longer holds every byte, and no machine has that much.
        if (unit is null || !TryNumber(number, out var value) || value * unit.Value is < 1 or > 9007199254740992)
        {
            return false;
        }

        bytes = (long)Math.Round(value * unit.Value);
        return true;
    }
}
