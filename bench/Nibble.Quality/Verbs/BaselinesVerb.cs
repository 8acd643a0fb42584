using System.CommandLine;
using System.Globalization;
using System.Text;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Tokenizers;
using Nibble.Quality.Ngrams;
using Nibble.Tensors;

namespace Nibble.Quality.Verbs;

/// <summary><c>baselines</c>: how far counting alone gets on the tokens a model is evaluated on.</summary>
internal static class BaselinesVerb
{
    private const int Order = 5;

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var tokenizer =
            new Option<string>("--tokenizer") { Description = "Folder with tokenizer.json.", Required = true };
        var train = new Option<string[]>("--train")
        {
            Description = "Rows {\"text\": …} to count.",
            Required = true,
            AllowMultipleArgumentsPerToken = true,
        };
        var eval = new Option<string[]>("--eval")
        {
            Description = "Rows {\"text\": …} to predict.",
            Required = true,
            AllowMultipleArgumentsPerToken = true,
        };
        var length = new Option<int>("--sequence-len")
        {
            Description = "Tokens at which a long text is cut into rows, as in the model's run.",
            DefaultValueFactory = _ => 512,
        };
        var write = new Option<FileInfo?>("--write") { Description = "Markdown file that receives the table." };
        var command = new Command("baselines", "Losses of a unigram and a 5-gram model on a model's own tokens.")
        {
            tokenizer, train, eval, length, write,
        };
        command.SetAction(arguments =>
        {
            try
            {
                var folder = arguments.GetRequiredValue(tokenizer);
                var table = Measure(
                    HfTokenizer.Load(folder), arguments.GetRequiredValue(train),
                    arguments.GetRequiredValue(eval), folder, arguments.GetValue(length));
                Console.Write(table);
                if (arguments.GetValue(write) is { } file)
                {
                    AtomicFile.WriteAllText(file.FullName, table);
                }

                return 0;
            }
            catch (Exception e) when (e is TokenizerException or DatasetException or ConfigException or IOException)
            {
                Console.Error.WriteLine(e.Message);
                return 2;
            }
        });
        return command;
    }

    private static string Measure(HfTokenizer tokenizer, string[] train, string[] eval, string folder, int length)
    {
        var rows = Rows(tokenizer, train, folder, length);
        var vocabulary = tokenizer.VocabularySize;
        Console.Error.WriteLine($"{rows.Length} rows of {rows.Sum(r => (long)r.Length)} tokens to count");
        var unigram = new UnigramModel(rows, vocabulary);
        var grams = NgramModel.Train(rows, vocabulary, Order);
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"Counted on {rows.Sum(r => (long)r.Length):N0} tokens in {rows.Length:N0} rows; ");
        var sizes = string.Join(", ", grams.Sizes.Select(s => s.ToString("N0", CultureInfo.InvariantCulture)));
        text.Append(
            CultureInfo.InvariantCulture, $"{vocabulary} ids; distinct grams of 1 to {Order} tokens: {sizes}. ");
        text.Append("Every token of a row but its first is predicted, as a model is evaluated.\n\n");
        text.Append("| rows | tokens predicted | bytes a token | model | nats a token | bits a byte |\n");
        text.Append("|---|---|---|---|---|---|\n");
        foreach (var file in eval)
        {
            var held = Rows(tokenizer, [file], folder, length);
            var (tokens, bytes, one, five) = (0L, 0L, 0.0, 0.0);
            foreach (var row in held)
            {
                for (var i = 1; i < row.Length; i++)
                {
                    tokens++;
                    bytes += tokenizer.IsSpecial(row[i]) ? 0 : tokenizer.BytesOf(row[i]).Length;
                    one -= Math.Log(unigram.Probability(row[i]));
                    five -= Math.Log(grams.Probability(row, i, row[i]));
                }
            }

            (string, double)[] models =
                [("unigram, one added to every count", one), ("5-gram, modified Kneser–Ney", five)];
            foreach (var (name, nats) in models)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"| {Path.GetFileName(file)} | {tokens:N0} | {(double)bytes / tokens:0.00} | {name} ");
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"| {nats / tokens:0.0000} | {nats / Math.Log(2) / bytes:0.0000} |\n");
            }
        }

        return text.ToString();
    }

    // The rows that a run of type completion would train on or evaluate.
    private static int[][] Rows(HfTokenizer tokenizer, string[] files, string folder, int length)
    {
        var sources = string.Join(
            '\n', files.Select(
                f => $"  - path: \"{Path.GetFullPath(f).Replace('\\', '/')}\"\n    type: completion\n    field: text"));
        var yaml = string.Create(CultureInfo.InvariantCulture, $"""
            base_model: "{Path.GetFullPath(folder).Replace('\\', '/')}"
            sequence_len: {length}
            learning_rate: 0.001
            shuffle_merged_datasets: false
            datasets:
            {sources}
            """);
        var data = DatasetBuilder.Build(ConfigLoader.Parse(yaml, "baselines").Config, tokenizer);
        foreach (var warning in data.Report.Warnings)
        {
            Console.Error.WriteLine(warning);
        }

        return [.. data.Train.Select(s => s.InputIds)];
    }
}
