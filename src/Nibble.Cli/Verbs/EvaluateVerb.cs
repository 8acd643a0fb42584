using System.CommandLine;
using System.Globalization;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Data.Tokenizers;
using Nibble.Hosting;
using Nibble.Hosting.Answers;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble evaluate</c>.</summary>
internal sealed class EvaluateVerb : AdapterVerb
{
    private readonly Option<bool> _answers = new("--answers")
    {
        Description = "Also answer every row greedily and compare with its own answer.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<int> _maxNewTokens = new("--max-new-tokens")
    {
        Description = "Most tokens of an answer.",
        HelpName = "n",
        DefaultValueFactory = _ => SampleGeneration.MaxNewTokens,
    };

    private readonly Option<string?> _out = new("--out")
    {
        Description = "Write the answers there, one JSON object a line.",
        HelpName = "file",
    };

    private readonly Option<bool> _bash = new("--bash")
    {
        Description = "Also have the bash that is installed parse every answer (bash -n; nothing is run).",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<bool> _json = JsonOption();

    public EvaluateVerb()
        : base("evaluate", "Loss, perplexity and answers on the evaluation rows, of the adapter or of the base model.")
    {
        Add(_answers);
        Add(_maxNewTokens);
        Add(_out);
        Add(_bash);
        Add(_json);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var config = LoadWithFiles(arguments, session).Config;
        var adapter = AdapterFolder(arguments, config);
        var wish = Wish(arguments);
        return session.Interruption.Graceful(stop =>
        {
            var tokenizer = HfTokenizer.Load(config.Tokenizer.Folder);
            var data = Preparation.Watch(
                session.Terminal, progress => DatasetBuilder.Build(config, tokenizer, progress, stop));
            if (data.Eval.Length == 0)
            {
                throw new UsageException(
                    "there are no evaluation rows: set test_datasets or val_set_size, e.g. "
                    + "--test_datasets.0.path rows.jsonl.");
            }

            var batches = EvaluationBatches.Create(data.Eval, config.Batch, config.Sequence);
            var prompts = wish is null ? [] : AnswerPrompt.FromRows(data.Eval, tokenizer);
            var room = prompts.Select(p => p.Prompt.Length + wish!.MaxNewTokens).DefaultIfEmpty(0).Max();
            var longest = Math.Max(data.Eval.Max(s => s.InputIds.Length), room);
            using var runtime = AdapterRuntime.Open(
                What(config, adapter, session.Terminal).WithRoomFor(data.Eval, batches) with
                {
                    MaxTokens = longest,
                    SideBySide = wish is null ? null : AnswerRun.Largest(prompts, wish.MaxNewTokens),
                });
            var started = TimeProvider.System.GetTimestamp();
            var loss = runtime.Evaluate(data.Eval, batches, config.Batch.Normalization, stop);
            var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
            var answers = wish is null ? null : AnswersView.Collect(runtime, prompts, wish, session.Terminal, stop);
            var tokens = data.Eval.Sum(s => (long)s.InputIds.Length);
            if (arguments.GetValue(_json))
            {
                Json.Show(session.Terminal, json =>
                {
                    json.WriteString("base_model", config.BaseModel.Name);
                    json.WriteString("adapter", adapter);
                    json.WriteString("device", runtime.Device.Backend.Name);
                    json.Number("loss", loss);
                    json.Number("perplexity", Math.Exp(loss));
                    json.WriteNumber("samples", data.Eval.Length);
                    json.WriteNumber("tokens", tokens);
                    json.WriteNumber("trained_tokens", data.Eval.Sum(s => (long)s.TrainedTokens));
                    json.Number("seconds", seconds);
                    answers?.Write(json);
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
                    .Add(
                        "time",
                        $"{Words.Duration(seconds)}, {Words.Count((long)(tokens / Math.Max(seconds, 1e-9)))} tokens/s")
                    .Show(session.Terminal);
                answers?.Show(session.Terminal);
            }

            return double.IsFinite(loss) ? ExitCode.Ok : ExitCode.Failed;
        });
    }

    private AnswerWish? Wish(ParseResult arguments)
    {
        var wish = new AnswerWish(
            arguments.GetValue(_maxNewTokens), arguments.GetValue(_out) is { } file ? Path.GetFullPath(file) : null,
            arguments.GetValue(_bash));
        if (wish.MaxNewTokens < 1)
        {
            throw new UsageException($"--max-new-tokens: expected 1 or more, found {wish.MaxNewTokens}.");
        }

        return arguments.GetValue(_answers) ? wish
            : wish.File is null && !wish.Bash && !IsGiven(arguments, _maxNewTokens) ? null
            : throw new UsageException("--out, --bash and --max-new-tokens are about answers: add --answers.");
    }
}
