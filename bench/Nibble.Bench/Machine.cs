using System.Runtime.InteropServices;
using System.Text;

namespace Nibble.Bench;

/// <summary>What a table says about where it was measured.</summary>
internal static class Machine
{
    /// <summary>Processor model and logical processors.</summary>
    public static string Processor
    {
        get
        {
            const string CpuInfo = "/proc/cpuinfo";
            var model = File.Exists(CpuInfo)
                ? File.ReadLines(CpuInfo).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?
                    .Split(':', 2)[1].Trim()
                : null;
            return $"{model ?? RuntimeInformation.ProcessArchitecture.ToString()}, "
                + $"{Environment.ProcessorCount} logical processors";
        }
    }

    /// <summary>A folder for reports of this machine.</summary>
    public static string Folder
    {
        get
        {
            var slug = new StringBuilder();
            foreach (var c in Processor.Replace(" logical processors", "-threads", StringComparison.Ordinal))
            {
                if (char.IsAsciiLetterOrDigit(c))
                {
                    slug.Append(char.ToLowerInvariant(c));
                }
                else if (slug.Length > 0 && slug[^1] != '-')
                {
                    slug.Append('-');
                }
            }

            return Path.Combine("benchmarks", slug.ToString());
        }
    }

    /// <summary>Writes a report and says where.</summary>
    public static void Write(string folder, string name, string text)
    {
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, name);
        File.WriteAllText(path, text);
        Console.WriteLine($"wrote {path}");
    }
}
