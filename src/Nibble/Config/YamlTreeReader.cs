using System.Text;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Nibble.Config;

/// <summary>
/// YAML text to a <see cref="MappingNode"/>. Works on parser events rather than on YamlDotNet's own tree, because that
/// one stops at the first repeated key; here all of them are found, with the line of the first.
/// </summary>
internal sealed class YamlTreeReader
{
    // Far beyond any configuration, and small enough that neither the stack nor memory suffers from a hostile one.
    private const int MaxDepth = 40;
    private const int MaxNodes = 50_000;

    private readonly string file;
    private readonly List<ConfigFinding> findings;
    private readonly Parser parser;
    private readonly Dictionary<string, ConfigNode> anchors = [];
    private int nodes;

    private YamlTreeReader(string text, string file, List<ConfigFinding> findings)
    {
        this.file = file;
        this.findings = findings;
        parser = new Parser(new StringReader(text));
    }

    /// <summary>
    /// Decodes strictly: a byte that is not UTF-8 is an error with its line and column, not a question mark.
    /// </summary>
    /// <exception cref="ConfigException">The bytes are not UTF-8.</exception>
    public static string Decode(ReadOnlySpan<byte> bytes, string file)
    {
        if (bytes.StartsWith("\uFEFF"u8))
        {
            bytes = bytes[3..];
        }

        var line = 1;
        var column = 1;
        for (var rest = bytes; rest.Length > 0;)
        {
            if (Rune.DecodeFromUtf8(rest, out var rune, out var used) != System.Buffers.OperationStatus.Done)
            {
                throw new ConfigException([new ConfigFinding
                {
                    File = file,
                    Line = line,
                    Column = column,
                    Problem = "the file is not valid UTF-8; save it as UTF-8.",
                    Expected = "UTF-8 text",
                    Found = $"the byte 0x{rest[0]:X2}",
                }]);
            }

            column = rune.Value == '\n' ? 1 : column + 1;
            line += rune.Value == '\n' ? 1 : 0;
            rest = rest[used..];
        }

        return Encoding.UTF8.GetString(bytes);
    }

    /// <summary>Reads one document whose root is a mapping; an empty document is an empty mapping.</summary>
    /// <exception cref="ConfigException">The text is not one YAML mapping.</exception>
    public static MappingNode Read(string text, string file, List<ConfigFinding> findings)
    {
        RefuseTabIndentation(text, file);
        var reader = new YamlTreeReader(text, file, findings);
        try
        {
            return reader.ReadDocument();
        }
        catch (YamlException e)
        {
            throw new ConfigException(
                [.. findings, reader.Finding(e.Start, $"invalid YAML: {e.Message.TrimEnd('.')}.")]);
        }
        catch (InvalidOperationException)
        {
            throw new ConfigException([.. findings, reader.Lost()]);
        }
    }

    /// <summary>A value given on the command line, where lists and mappings are written in flow style.</summary>
    /// <exception cref="ConfigException">The text is not YAML.</exception>
    public static ConfigNode ReadFlow(string text, string flag)
    {
        var findings = new List<ConfigFinding>();
        var reader = new YamlTreeReader(text, "", findings);
        string problem;
        try
        {
            reader.parser.Consume<StreamStart>();
            reader.parser.Consume<DocumentStart>();
            var node = reader.ReadNode(0);
            problem = findings.Count > 0 ? findings[0].Problem : "";
            if (problem.Length == 0)
            {
                return Relocate(node, Origin.OfFlag(flag));
            }
        }
        catch (YamlException e)
        {
            problem = $"invalid YAML: {e.Message.TrimEnd('.')}.";
        }
        catch (InvalidOperationException)
        {
            problem = "invalid YAML: a bracket or a quote is not closed.";
        }

        throw new ConfigException([new ConfigFinding { File = "", Flag = flag, Key = flag, Problem = problem }]);
    }

    private static void RefuseTabIndentation(string text, string file)
    {
        var line = 0;
        foreach (var row in text.AsSpan().EnumerateLines())
        {
            line++;
            if (row.Length > 0 && row[0] == '\t' && !row.IsWhiteSpace())
            {
                throw new ConfigException([new ConfigFinding
                {
                    File = file,
                    Line = line,
                    Column = 1,
                    Problem = "YAML does not allow tabs as indentation; use spaces.",
                    Expected = "spaces",
                    Found = "a tab",
                }]);
            }
        }
    }

    private MappingNode ReadDocument()
    {
        parser.Consume<StreamStart>();
        if (parser.TryConsume<StreamEnd>(out _))
        {
            return new MappingNode(new Origin(1, 1, null), []);
        }

        parser.Consume<DocumentStart>();
        var root = ReadNode(0);
        parser.Consume<DocumentEnd>();
        if (!parser.TryConsume<StreamEnd>(out _))
        {
            var second = parser.Consume<DocumentStart>();
            throw new ConfigException(
                [.. findings, Finding(second.Start, "a second YAML document starts here; a run is one document.")]);
        }

        return root switch
        {
            MappingNode mapping => mapping,
            ScalarNode scalar when ScalarReader.IsNull(scalar) => new MappingNode(root.Origin, []),
            _ => throw new ConfigException([.. findings, new ConfigFinding
            {
                File = file,
                Line = root.Origin.Line,
                Column = root.Origin.Column,
                Problem = "a run is a mapping of keys to values.",
                Expected = "lines such as 'base_model: name'",
                Found = root.Describe(),
            }]),
        };
    }

    private ConfigNode ReadNode(int depth)
    {
        var at = parser.Current!;
        Count(at.Start);
        if (depth > MaxDepth)
        {
            throw new YamlException(at.Start, at.End, $"nested more than {MaxDepth} levels deep");
        }

        if (parser.TryConsume<AnchorAlias>(out var alias))
        {
            return anchors.TryGetValue(alias.Value.Value, out var target)
                ? Copy(target, alias.Start)
                : throw new YamlException(alias.Start, alias.End, $"alias '*{alias.Value}' names no anchor before it");
        }

        ConfigNode node = parser.Current switch
        {
            Scalar => ReadScalar(),
            SequenceStart => ReadSequence(depth),
            _ => ReadMapping(depth),
        };
        if (at is NodeEvent { Anchor.IsEmpty: false } anchored)
        {
            anchors[anchored.Anchor.Value] = node;
        }

        return node;
    }

    private ScalarNode ReadScalar()
    {
        var scalar = parser.Consume<Scalar>();
        var tag = scalar.Tag.IsEmpty ? "" : scalar.Tag.Value;
        if (tag.Length > 0 && tag is not ("!" or "tag:yaml.org,2002:str" or "tag:yaml.org,2002:int"
            or "tag:yaml.org,2002:float" or "tag:yaml.org,2002:bool" or "tag:yaml.org,2002:null"))
        {
            throw new YamlException(scalar.Start, scalar.End, $"the tag {tag} is not known here; write the bare value");
        }

        var plain = scalar.Style == ScalarStyle.Plain && tag is not ("!" or "tag:yaml.org,2002:str");
        return new ScalarNode(OriginOf(scalar.Start), scalar.Value, plain);
    }

    private SequenceNode ReadSequence(int depth)
    {
        var start = parser.Consume<SequenceStart>();
        var items = new List<ConfigNode>();
        while (!parser.TryConsume<SequenceEnd>(out _))
        {
            items.Add(ReadNode(depth + 1));
        }

        return new SequenceNode(OriginOf(start.Start), items);
    }

    private MappingNode ReadMapping(int depth)
    {
        var start = parser.Consume<MappingStart>();
        var entries = new List<MappingEntry>();
        var merged = new List<ConfigNode>();
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            if (parser.Current is not Scalar key)
            {
                throw new YamlException(parser.Current!.Start, parser.Current.End, "a key must be plain text");
            }

            parser.MoveNext();
            var value = ReadNode(depth + 1);
            var first = entries.Find(entry => entry.Key == key.Value);
            if (key.Value == "<<" && key.Style == ScalarStyle.Plain)
            {
                merged.Add(value);
            }
            else if (first is not null)
            {
                findings.Add(
                    Finding(key.Start, $"the key stands twice, first on {first.Origin}; keep one.", key.Value));
            }
            else
            {
                entries.Add(new MappingEntry(key.Value, OriginOf(key.Start), value));
            }
        }

        foreach (var source in merged.SelectMany(node => node is SequenceNode list ? list.Items : [node]))
        {
            if (source is not MappingNode mapping)
            {
                throw new YamlException(start.Start, start.End, "'<<' merges mappings only");
            }

            entries.AddRange(mapping.Entries.Where(entry => !entries.Exists(own => own.Key == entry.Key)).ToList());
        }

        return new MappingNode(OriginOf(start.Start), entries);
    }

    // An alias is a copy, so that a flag laid over one of them leaves the other alone.
    private ConfigNode Copy(ConfigNode node, Mark use)
    {
        Count(use);
        return node switch
        {
            SequenceNode list => new SequenceNode(node.Origin, list.Items.ConvertAll(item => Copy(item, use))),
            MappingNode mapping => new MappingNode(
                node.Origin,
                mapping.Entries.ConvertAll(entry => entry with { Value = Copy(entry.Value, use) })),
            _ => node,
        };
    }

    private static ConfigNode Relocate(ConfigNode node, Origin origin) => node switch
    {
        ScalarNode scalar => new ScalarNode(origin, scalar.Text, scalar.Plain),
        SequenceNode list => new SequenceNode(origin, list.Items.ConvertAll(item => Relocate(item, origin))),
        MappingNode mapping => new MappingNode(
            origin,
            mapping.Entries.ConvertAll(entry => new MappingEntry(entry.Key, origin, Relocate(entry.Value, origin)))),
        _ => node,
    };

    // The scanner of YamlDotNet loses its own place in some unclosed flow collections and says so only by this
    // exception.
    private ConfigFinding Lost() => Finding(
        parser.Current?.End ?? Mark.Empty,
        "invalid YAML after this point: a bracket or a quote is not closed.");

    private void Count(Mark at)
    {
        if (++nodes > MaxNodes)
        {
            throw new YamlException(at, at, $"more than {MaxNodes} values, aliases counted as often as they are used");
        }
    }

    private static Origin OriginOf(Mark mark) => new((int)mark.Line, (int)mark.Column, null);

    private ConfigFinding Finding(Mark at, string problem, string? key = null) => new()
    {
        File = file,
        Line = (int)at.Line,
        Column = (int)at.Column,
        Key = key,
        Problem = problem,
    };
}
