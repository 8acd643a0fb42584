using System.Globalization;
using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Tokenizers;
using Nibble.Models;

namespace Nibble.Hosting;

/// <summary>
/// Measures how close a merged model is to what was trained, at the trained tokens of validation rows, or of training
/// rows when there are none. Models are loaded one after the other: the base as it was trained on (in 4 bits, say) with
/// the adapter; where that was quantised, the base in full precision with the adapter; and the merged model in its
/// storage type. The first and the last differ by the four bits and by rounding, the last two by rounding alone.
/// </summary>
internal static class MergeFidelity
{
    // Positions whose logits are on the host at a time: 40 MB for a vocabulary of 150,000.
    public const int Chunk = 64;

    // Losses near zero differ by parts of nothing; a thousandth of a nat changes no probability by more than 0.1 %.
    private const double LeastDifference = 1e-3;

    private const int PassTokens = 2048;

    /// <summary>The rows that are measured, as batches.</summary>
    /// <param name="rows"><c>eval</c> or <c>train</c>.</param>
    /// <param name="samples">Rows, from the first, until they have the tokens asked for.</param>
    public sealed class Selection(string rows, IReadOnlyList<Sample> samples)
    {
        /// <summary>Where the rows are from.</summary>
        public string Rows => rows;

        /// <summary>How many.</summary>
        public int Samples => samples.Count;

        /// <summary>Trained tokens.</summary>
        public int Tokens => samples.Sum(s => s.TrainedTokens);

        /// <summary>Tokens of the longest batch.</summary>
        public int LongestBatch => Batches.Max(b => b.InputIds.Length);

        /// <summary>Rows side by side.</summary>
        public IReadOnlyList<Batch> Batches { get; } = Cut(samples);

        private static List<Batch> Cut(IReadOnlyList<Sample> samples)
        {
            var batches = new List<Batch>();
            var pending = new List<Sample>();
            foreach (var sample in samples)
            {
                if (pending.Count > 0 && pending.Sum(s => s.InputIds.Length) + sample.InputIds.Length > PassTokens)
                {
                    batches.Add(new Batch(pending));
                    pending.Clear();
                }

                pending.Add(sample);
            }

            batches.Add(new Batch(pending));
            return batches;
        }
    }

    /// <summary>Chooses rows.</summary>
    /// <param name="config">The run.</param>
    /// <param name="tokens">Trained tokens that are enough.</param>
    /// <param name="cancellation">Stops between rows.</param>
    public static Selection Choose(RunConfig config, int tokens, CancellationToken cancellation)
    {
        var tokenizer = HfTokenizer.Load(config.Tokenizer.Folder).WithSpecialTokens(config.Data.SpecialTokens);
        var data = DatasetBuilder.Build(config, tokenizer, cancellation: cancellation);
        var (rows, samples) = data.Eval.Length > 0 ? ("eval", data.Eval) : ("train", data.Train);
        var chosen = new List<Sample>();
        var taken = 0;
        foreach (var sample in samples.Where(s => s.TrainedTokens > 0).TakeWhile(_ => taken < tokens))
        {
            chosen.Add(sample);
            taken += sample.TrainedTokens;
        }

        return taken > 0
            ? new Selection(rows, chosen)
            : throw new DatasetException("no row has a token that trains: there is nothing to measure a merge on.");
    }

    /// <summary>Measures.</summary>
    /// <param name="config">The run.</param>
    /// <param name="adapter">Folder of the adapter.</param>
    /// <param name="merged">Folder of the merged model.</param>
    /// <param name="selection">Rows.</param>
    /// <param name="tolerance">Most that the merged loss may exceed the trained one by, relative; null for
    /// <see cref="DefaultTolerance"/>.</param>
    /// <param name="stage">Told what happens.</param>
    /// <param name="cancellation">Throws between models and batches.</param>
    public static MergeMeasurement Measure(
        RunConfig config, string adapter, string merged, Selection selection, double? tolerance, Action<string> stage,
        CancellationToken cancellation)
    {
        var dense = new QuantizationOptions(WeightStorage.Dense, DoubleQuantization: false);
        var savedInBits = ModelConfig.Load(config.BaseModel.Folder).Quantization is not null;
        var quantized = config.Quantization.Storage != WeightStorage.Dense;
        var options = AdapterRuntimeOptions.Of(config, adapter) with
        {
            MaxTokens = selection.LongestBatch,
            PassTokens = selection.LongestBatch,
            ReadsLogits = true,
        };
        var device = "";
        (TokenPredictions Predictions, ModelDistance[] Distances) Read(
            string what, AdapterRuntimeOptions model, bool compared, params IReadOnlyList<TokenPredictions> references)
        {
            stage($"measuring {what}");
            using var runtime = AdapterRuntime.Open(model);
            device = runtime.Device.Backend.Name;
            return TokenPredictions.Read(runtime, selection.Batches, compared, references, cancellation);
        }

        var code = config.Quantization.Storage.ToString().ToUpperInvariant();
        var trainedName = quantized ? $"base in {code} + adapter, as trained" : "base + adapter, as trained";
        var trained = Read(trainedName, options, compared: true).Predictions;
        var models = new List<MeasuredModel> { new(MergeMeasurement.Trained, trainedName, trained.Loss, null) };
        var same = trained;
        if (quantized && !savedInBits)
        {
            const string Name = "base unquantised + adapter";
            var (apart, distances) = Read(Name, options with { Quantization = dense }, true, trained);
            models.Add(new MeasuredModel(MergeMeasurement.Unmerged, Name, apart.Loss, distances[0]));
            same = apart;
        }

        var (result, from) = Read(
            "the merged model", options with { BaseModel = merged, Adapter = null, Quantization = dense },
            compared: false, trained, same);
        models.Add(new MeasuredModel(MergeMeasurement.Merged, "merged", result.Loss, from[0]));
        return new MergeMeasurement
        {
            Device = device,
            Rows = selection.Rows,
            Samples = selection.Samples,
            Tokens = selection.Tokens,
            Models = models,
            Rounding = from[1],
            Verdicts =
            [
                Rounding(same.Loss, result.Loss),
                Trained(trained.Loss, result.Loss, tolerance ?? DefaultTolerance(quantized), quantized),
            ],
        };
    }

    /// <summary>Loss of one model on chosen rows.</summary>
    /// <param name="runtime">Model; opened with <see cref="AdapterRuntimeOptions.ReadsLogits"/> and passes of at least
    /// 2,048 tokens and as long as the longest row.</param>
    /// <param name="selection">Rows.</param>
    /// <param name="cancellation">Throws between batches.</param>
    public static double Loss(AdapterRuntime runtime, Selection selection, CancellationToken cancellation) =>
        TokenPredictions.Read(runtime, selection.Batches, compared: false, [], cancellation).Predictions.Loss;

    /// <summary>Most that a merged model's loss may exceed the trained one's by, relative.</summary>
    /// <param name="quantized">Whether the base was quantised in training.</param>
    public static double DefaultTolerance(bool quantized) => quantized ? 0.05 : FineTuner.RoundedWeights;

    private static MergeVerdict Rounding(double apart, double merged)
    {
        var bound = Math.Max(FineTuner.RoundedWeights * Math.Abs(apart), LeastDifference);
        return new MergeVerdict(
            "rounding", Math.Abs(merged - apart) <= bound, $"a loss within {Text(bound)} of {Text(apart)}, "
            + "that of the same weights with the adapter beside them", Text(merged),
            "merging only rounds sums to the base's type");
    }

    private static MergeVerdict Trained(double trained, double merged, double tolerance, bool quantized)
    {
        var bound = trained + Math.Max(tolerance * Math.Abs(trained), LeastDifference);
        return new MergeVerdict(
            "as trained", merged <= bound, $"a loss of at most {Text(bound)}, {Text(trained)} as trained and "
            + $"{(100 * tolerance).ToString(CultureInfo.InvariantCulture)} % on top", Text(merged),
            quantized
                ? "the adapter was trained over weights in 4 bits, whose errors it partly made up for"
                : "merging only rounds sums to the base's type");
    }

    private static string Text(double value) => value.ToString("0.0000##", CultureInfo.InvariantCulture);
}
