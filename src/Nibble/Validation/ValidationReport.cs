using System.Globalization;
using System.Text;
using System.Xml;
using Nibble.Checkpoints;
using Nibble.Tensors;

namespace Nibble.Validation;

/// <summary>What all checks concluded about one checkpoint.</summary>
/// <param name="Folder">Checkpoint folder.</param>
/// <param name="BaseModelFolder">Folder of the base model, or null.</param>
/// <param name="Findings">In the order of the checks.</param>
public sealed record ValidationReport(string Folder, string? BaseModelFolder, IReadOnlyList<Finding> Findings)
{
    /// <summary>Name of the report in JSON.</summary>
    public const string FileName = "validation.json";

    /// <summary>Whether nothing failed; warnings do not refuse a checkpoint.</summary>
    public bool Passed => Count(CheckStatus.Fail) == 0;

    /// <summary>How many findings have a status.</summary>
    /// <param name="status">Status to count.</param>
    public int Count(CheckStatus status) => Findings.Count(f => f.Status == status);

    /// <summary>The report as JSON: indent 2, keys sorted, final newline.</summary>
    public string ToJson() => PythonJson.Write(new Dictionary<string, object?>
    {
        ["base_model"] = BaseModelFolder,
        ["checkpoint"] = Folder,
        ["failed"] = Count(CheckStatus.Fail),
        ["findings"] = Findings.Select(f => (object?)new Dictionary<string, object?>
        {
            ["check"] = f.Name,
            ["detail"] = f.Detail,
            ["expected"] = f.Expected,
            ["found"] = f.Found,
            ["status"] = Word(f.Status),
        }).ToArray(),
        ["passed"] = Passed,
        ["warnings"] = Count(CheckStatus.Warn),
    }) + "\n";

    /// <summary>The report as Markdown: a table, then the details that need several lines.</summary>
    public string ToMarkdown()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# Validation of {Folder}: {(Passed ? "passed" : "FAILED")}\n\n");
        text.Append(CultureInfo.InvariantCulture, $"{Count(CheckStatus.Pass)} passed, ");
        text.Append(CultureInfo.InvariantCulture, $"{Count(CheckStatus.Warn)} warnings, ");
        text.Append(CultureInfo.InvariantCulture, $"{Count(CheckStatus.Fail)} failed");
        text.Append(BaseModelFolder is null ? ".\n" : $"; base model {BaseModelFolder}.\n");
        text.Append("\n| check | status | expected | found | detail |\n|---|---|---|---|---|\n");
        foreach (var f in Findings)
        {
            var detail = f.Detail.Contains('\n', StringComparison.Ordinal) ? "see below" : Cell(f.Detail);
            text.Append(CultureInfo.InvariantCulture, $"| {Cell(f.Name)} | {Word(f.Status)} | {Cell(f.Expected)} ");
            text.Append(CultureInfo.InvariantCulture, $"| {Cell(f.Found)} | {detail} |\n");
        }

        foreach (var f in Findings.Where(f => f.Detail.Contains('\n', StringComparison.Ordinal)))
        {
            // Indented blocks cannot be closed by anything a sample contains.
            text.Append(CultureInfo.InvariantCulture, $"\n## {f.Name}\n\n");
            foreach (var line in f.Detail.ReplaceLineEndings("\n").Split('\n'))
            {
                text.Append(line.Length == 0 ? "" : "    ").Append(line).Append('\n');
            }
        }

        return text.ToString();
    }

    /// <summary>The report as JUnit XML: one test case per finding, warnings count as passed and are printed.</summary>
    public string ToJUnit()
    {
        using var stream = new MemoryStream();
        var settings = new XmlWriterSettings { Indent = true, NewLineChars = "\n", Encoding = new UTF8Encoding(false) };
        using (var xml = XmlWriter.Create(stream, settings))
        {
            xml.WriteStartElement("testsuites");
            xml.WriteStartElement("testsuite");
            xml.WriteAttributeString("name", Clean($"nibble validate {Folder}"));
            xml.WriteAttributeString("tests", Findings.Count.ToString(CultureInfo.InvariantCulture));
            xml.WriteAttributeString("failures", Count(CheckStatus.Fail).ToString(CultureInfo.InvariantCulture));
            xml.WriteAttributeString("errors", "0");
            var numbers = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (var f in Findings)
            {
                numbers[f.Name] = numbers.GetValueOrDefault(f.Name) + 1;
                var suffix = numbers[f.Name] == 1 ? "" : $" {numbers[f.Name]}";
                xml.WriteStartElement("testcase");
                xml.WriteAttributeString("classname", "nibble.validate");
                xml.WriteAttributeString("name", Clean(f.Name + suffix));
                if (f.Status == CheckStatus.Fail)
                {
                    xml.WriteStartElement("failure");
                    xml.WriteAttributeString("message", Clean($"expected {f.Expected}, found {f.Found}"));
                    xml.WriteString(Clean(f.Detail));
                    xml.WriteEndElement();
                }
                else
                {
                    xml.WriteElementString("system-out", Clean($"{Word(f.Status)}: {f.Found}\n{f.Detail}".TrimEnd()));
                }

                xml.WriteEndElement();
            }

            xml.WriteEndElement();
            xml.WriteEndElement();
        }

        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    /// <summary>Writes <c>validation.json</c>, <c>validation.md</c> and <c>validation.xml</c>.</summary>
    /// <param name="folder">Created when absent.</param>
    /// <exception cref="StorageException">A file could not be written.</exception>
    public void Write(string folder)
    {
        AtomicFile.WriteAllText(Path.Combine(folder, FileName), ToJson());
        AtomicFile.WriteAllText(Path.Combine(folder, "validation.md"), ToMarkdown());
        AtomicFile.WriteAllText(Path.Combine(folder, "validation.xml"), ToJUnit());
    }

    private static string Word(CheckStatus status) => status switch
    {
        CheckStatus.Pass => "pass",
        CheckStatus.Warn => "warn",
        CheckStatus.Fail => "fail",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "unknown status"),
    };

    private static string Cell(string text) => text
        .ReplaceLineEndings(" ")
        .Replace("|", "\\|", StringComparison.Ordinal);

    // Generated text may hold characters that XML cannot.
    private static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (XmlConvert.IsXmlChar(text[i]))
            {
                clean.Append(text[i]);
            }
            else if (i + 1 < text.Length && XmlConvert.IsXmlSurrogatePair(text[i + 1], text[i]))
            {
                clean.Append(text[i]).Append(text[++i]);
            }
            else
            {
                clean.Append('\uFFFD');
            }
        }

        return clean.ToString();
    }
}
