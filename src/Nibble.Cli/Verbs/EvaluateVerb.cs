using System.CommandLine;
using System.Globalization;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Data.Tokenizers;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble evaluate</c>.</summary>
internal sealed class EvaluateVerb : AdapterVerb
{
    // Passes beyond this are no faster and only take memory.
    private const int PassTokens = 2048;

    private readonly Option<bool> _json = JsonOption();

    public EvaluateVerb()
        : base("evaluate", "Loss and perplexity on the evaluation rows, of the adapter or of the base model.") => Add(_json);

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var config = Load(arguments).Config;
        var adapter = AdapterFolder(arguments, config);
        return session.Interruption.Graceful(stop =>
        {
            var tokenizer = HfTokenizer.Load(config.TokenizerPath);
            var data = Preparation.Watch(
                session.Terminal, progress => DatasetBuilder.Build(config, tokenizer, progress, stop));
            if (data.Eval.Length == 0)
            {
                throw new UsageException(
                    "there are no evaluation rows: set test_datasets or val_set_size, e.g. --test_datasets.0.path rows.jsonl.");
            }

            var batches = EvaluationBatches.Create(data.Eval, config.Batch, config.Sequence);
            var largest = batches.Max(b => b.SampleIndices.Sum(i => data.Eval[i].InputIds.Length));
            var longest = data.Eval.Max(s => s.InputIds.Length);
            using var runtime = Open(config, adapter, longest, Math.Max(PassTokens, largest), session.Terminal);
            var started = TimeProvider.System.GetTimestamp();
            var loss = runtime.Evaluate(data.Eval, batches, config.Batch.Normalization, stop);
            var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
            var tokens = data.Eval.Sum(s => (long)s.InputIds.Length);
            if (arguments.GetValue(_json))
            {
                Json.Show(session.Terminal, json =>
                {
                    json.WriteString("base_model", config.BaseModel);
                    json.WriteString("adapter", adapter);
                    json.WriteString("device", runtime.Device.Backend.Name);
                    json.Number("loss", loss);
                    json.Number("perplexity", Math.Exp(loss));
                    json.WriteNumber("samples", data.Eval.Length);
                    json.WriteNumber("tokens", tokens);
                    json.WriteNumber("trained_tokens", data.Eval.Sum(s => (long)s.TrainedTokens));
                    json.Number("seconds", seconds);
                });
            }
            else
            {
                new Sheet("Evaluation")
                    .Add("device", runtime.Device.Backend.Name)
                    .Add("because", runtime.Device.Reason)
                    .Add("rows", $"{Words.Count(data.Eval.Length)}, {Words.Count(tokens)} tokens")
                    .Add("loss", Words.Loss(loss))
                    .Add("perplexity", Math.Exp(loss).ToString("0.000", CultureInfo.InvariantCulture))
                    .Add("time", $"{Words.Duration(seconds)}, {Words.Count((long)(tokens / Math.Max(seconds, 1e-9)))} tokens/s")
                    .Show(session.Terminal);
            }

            return double.IsFinite(loss) ? ExitCode.Ok : ExitCode.Failed;
        });
    }
}
