using System.CommandLine;
using System.Text.Json;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Data.Tokenizers;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble check</c>.</summary>
internal sealed class CheckVerb : ConfigVerb
{
    private readonly Option<bool> _configOnly = new("--config-only")
    {
        Description = "Leave tokenizer and rows out.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<bool> _json = JsonOption();

    public CheckVerb()
        : base(
            "check",
            "Check config and rows without a model: every key honoured, built in or refused; every row tokenised.")
    {
        Add(_configOnly);
        Add(_json);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var terminal = session.Terminal;
        var json = arguments.GetValue(_json);
        LoadedConfig loaded;
        try
        {
            loaded = Load(arguments);
        }
        catch (ConfigException refused)
        {
            if (json)
            {
                ShowJson(terminal, refused.Keys, refused.Findings, [], null, null);
                return ExitCode.BadInput;
            }

            KeyView.Show(terminal, refused.Keys);
            throw;
        }

        if (!json)
        {
            terminal.Write(loaded.ResolvedYaml);
            terminal.Line();
            KeyView.Show(terminal, loaded.Keys);
            foreach (var warning in loaded.Warnings)
            {
                terminal.Warn(warning.ToString());
            }
        }

        TokenizedData? data = null;
        if (!arguments.GetValue(_configOnly))
        {
            loaded = DownloadView.Find(session, loaded, weights: false, rows: true);
            data = session.Interruption.Graceful(stop => Preparation.Watch(
                terminal,
                progress => DatasetBuilder.Build(
                    loaded.Config, HfTokenizer.Load(loaded.Config.Tokenizer.Folder), progress, stop)));
        }

        if (json)
        {
            ShowJson(terminal, loaded.Keys, [], loaded.Warnings, loaded.ResolvedYaml, data?.Report);
        }
        else if (data is not null)
        {
            DataView.Show(terminal, loaded.Config, data.Report);
            var order = TrainingOrder.Create(
                data.Train, loaded.Config.Batch, loaded.Config.Sequence, loaded.Config.Seed);
            terminal.Line(
                $"{Words.Count(order.TotalSteps)} optimizer steps, {Words.Count(order.StepsPerEpoch)} an epoch.");
        }

        return ExitCode.Ok;
    }

    private static void ShowJson(
        Terminal terminal, IReadOnlyList<KeyReport> keys, IReadOnlyList<ConfigFinding> errors,
        IReadOnlyList<ConfigFinding> warnings, string? resolved, DataReport? data) => Json.Show(terminal, json =>
        {
            json.WriteBoolean("ok", errors.Count == 0);
            json.List("errors", errors, e => Write(json, e));
            json.List("warnings", warnings, w => Write(json, w));
            json.List("keys", keys, key => json.Item(() =>
            {
                json.WriteString("key", key.Key);
                json.WriteString("value", key.Value);
                json.WriteString("source", key.Source);
                json.WriteString("status", KeyView.Word(key.Status));
                json.WriteString("effective", key.Effective);
            }));
            json.WriteString("resolved_yaml", resolved);
            if (data is not null)
            {
                DataView.Write(json, data);
            }
        });

    private static void Write(Utf8JsonWriter json, ConfigFinding finding) => json.Item(() =>
    {
        json.WriteString("file", finding.File);
        json.WriteNumber("line", finding.Line);
        json.WriteNumber("column", finding.Column);
        json.WriteString("flag", finding.Flag);
        json.WriteString("key", finding.Key);
        json.WriteString("message", finding.ToString());
        json.WriteString("nearest", finding.Nearest);
    });
}
