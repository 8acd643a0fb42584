using System.Text;
using Nibble.Data.Sources;

namespace Nibble.Data.Tokenizers;

public static partial class BpeTrainer
{
    /// <summary>Characters of a text file that are handed on at a time, cut at line breaks.</summary>
    private const int TextBlock = 1 << 20;

    /// <summary>
    /// The texts of files: of <c>.json</c>, <c>.jsonl</c> and <c>.ndjson</c> every string value of every row, names of
    /// fields left out; of any other file its whole content.
    /// </summary>
    /// <param name="paths">Files in UTF-8.</param>
    /// <exception cref="DatasetException">A file cannot be read, or is not UTF-8 or JSON: file and line are
    /// named.</exception>
    public static IEnumerable<string> ReadTexts(IEnumerable<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        foreach (var path in paths)
        {
            foreach (var text in JsonRows.IsJson(path) ? ReadRows(path) : ReadBlocks(path))
            {
                yield return text;
            }
        }
    }

    private static IEnumerable<string> ReadRows(string path)
    {
        var texts = new List<string>();
        foreach (var row in JsonRows.Read(path))
        {
            texts.Clear();
            row.AddStrings(texts);
            foreach (var text in texts)
            {
                yield return text;
            }
        }
    }

    private static IEnumerable<string> ReadBlocks(string path)
    {
        var block = new StringBuilder();
        foreach (var line in Utf8Lines.Read(path, keepCarriageReturn: true))
        {
            if (line.Number > 1)
            {
                block.Append('\n');
            }

            block.Append(Encoding.UTF8.GetString(line.Bytes.Span));
            if (block.Length >= TextBlock)
            {
                yield return block.ToString();
                block.Clear();
            }
        }

        if (block.Length > 0)
        {
            yield return block.ToString();
        }
    }
}
