namespace Nibble.Hub;

/// <summary>
/// Which paths of a repository may become paths of this machine: those that stay inside their folder on every system.
/// </summary>
internal static class HubPath
{
    private const int LongestPart = 255;

    // Windows opens these as devices, whatever folder they stand in and whatever extension follows.
    private static readonly string[] Devices = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "COM", "LPT"];

    /// <summary>Why a path must not be used, or null when it may.</summary>
    /// <param name="path">Path with forward slashes, as the Hub gives it.</param>
    public static string? Problem(string path)
    {
        if (path.Length is 0 or > 1024)
        {
            return "it is empty or longer than 1024 characters";
        }

        foreach (var c in path)
        {
            if (char.IsControl(c) || c is '\\' or ':' or '*' or '?' or '"' or '<' or '>' or '|')
            {
                return "it holds a character that names no file on every system";
            }
        }

        foreach (var part in path.Split('/'))
        {
            if (part.Length is 0 or > LongestPart)
            {
                return "it is absolute, or a part of it is empty or too long";
            }

            if (part is "." or ".." || part[^1] is '.' or ' ')
            {
                return "a part of it is '.', '..', or ends in a dot or a space";
            }

            if (IsDevice(part))
            {
                return $"'{part}' is the name of a device on Windows";
            }
        }

        return null;
    }

    /// <summary>A path as a part of an address: each part percent-encoded, slashes kept.</summary>
    public static string Escaped(string path) => string.Join('/', path.Split('/').Select(Uri.EscapeDataString));

    /// <summary>Text from outside as it may stand in a message: on one line, not endless.</summary>
    public static string Shown(string text)
    {
        var clean = string.Concat(text.Take(200).Select(c => char.IsControl(c) ? '\ufffd' : c));
        return text.Length > 200 ? clean + "…" : clean;
    }

    private static bool IsDevice(string part)
    {
        var stem = part.Split('.')[0].TrimEnd(' ').ToUpperInvariant();
        return Array.Exists(Devices, device => stem == device
            || (device is "COM" or "LPT" && stem.Length == 4 && stem.StartsWith(device, StringComparison.Ordinal)
                && char.IsDigit(stem[3])));
    }
}
