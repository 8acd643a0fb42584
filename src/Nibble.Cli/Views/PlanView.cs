using System.Globalization;
using System.Text.Json;
using Nibble.Cli.Shell;
using Nibble.Config;
using Nibble.Hosting;
using Nibble.Planning;
using Spectre.Console;

namespace Nibble.Cli.Views;

/// <summary>What is about to happen, shown before anything does.</summary>
internal static class PlanView
{
    /// <summary>Prints everything.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="run">The prepared run.</param>
    /// <param name="device">The device.</param>
    /// <param name="reason">Why this one.</param>
    public static void Show(Terminal terminal, PreparedRun run, string device, string reason)
    {
        ShowModel(terminal, run);
        DataView.Show(terminal, run.Config, run.Data.Report);
        ShowSteps(terminal, run);
        ShowDevice(terminal, run, device, reason);
        foreach (var warning in run.Loaded.Warnings)
        {
            terminal.Warn(warning.ToString());
        }
    }

    /// <summary>The same for a machine.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="run">The prepared run.</param>
    /// <param name="device">The device.</param>
    /// <param name="reason">Why this one.</param>
    public static void ShowJson(Terminal terminal, PreparedRun run, string device, string reason) =>
        Json.Show(terminal, json =>
        {
            json.WriteString("base_model", run.Config.BaseModel.Name);
            json.WriteString("quantization", Quantization(run));
            json.WriteNumber("parameters", run.Model.ParameterCount);
            json.WriteNumber("trainable_parameters", run.TrainableParameters);
            DataView.Write(json, run.Data.Report);
            json.WriteNumber("total_steps", run.Order.TotalSteps);
            json.WriteNumber("steps_per_epoch", run.Order.StepsPerEpoch);
            json.WriteNumber("warmup_steps", run.Timeline.WarmupSteps);
            json.WriteNumber("logging_steps", run.Timeline.LoggingSteps);
            json.List("evaluation_points", run.Timeline.EvaluationPoints(run.Order), json.WriteNumberValue);
            json.List("save_points", run.Timeline.SavePoints(run.Order), json.WriteNumberValue);
            json.WriteString("device", device);
            json.WriteString("device_reason", reason);
            json.WriteNumber("budget_bytes", run.BudgetBytes);
            json.Object("plan", () => WritePlan(json, run.Plan));
            json.List("warnings", run.Loaded.Warnings, w => json.WriteStringValue(w.ToString()));
        });

    /// <summary>How base weights are held, in words.</summary>
    /// <param name="run">The prepared run.</param>
    public static string Quantization(PreparedRun run)
    {
        if (run.Format.Code is not { } code)
        {
            return $"none: decoder weights in {run.Format.DenseType}";
        }

        return $"{code.ToString().ToUpperInvariant()}, blocks of 64, "
            + $"{(run.Format.Nested ? "double quantization" : "F32 scales")}; "
            + $"embeddings and head {run.Format.TableType}"
            + (run.Model.Quantization is null ? ", quantised while loading" : ", as saved");
    }

    private static void ShowModel(Terminal terminal, PreparedRun run)
    {
        var model = run.Model;
        var all = model.ParameterCount + (run.Config.Lora is null ? 0 : run.TrainableParameters);
        new Sheet("Model")
            .Add(
                "base model",
                $"{run.Config.BaseModel.Name} ({model.Family}, {model.Layers} layers, width {model.HiddenSize}, "
                + $"{model.Heads} heads of {model.HeadDim} on {model.KvHeads}, "
                + $"vocabulary {Words.Count(model.VocabularySize)})")
            .Add("weights", Quantization(run))
            .Add("adapter", Adapter(run.Config.Lora))
            .AddIf("starts from", run.Config.Lora?.InitialAdapter)
            .Add("parameters", string.Create(
                CultureInfo.InvariantCulture,
                $"trainable params: {run.TrainableParameters:N0} || all params: {all:N0} || trainable%: "
                + $"{100.0 * run.TrainableParameters / all:0.0000}"))
            .Add("config", KeySummary(run.Loaded))
            .Show(terminal);
    }

    private static string Adapter(LoraOptions? lora) => lora is null
        ? "none: every weight is trained"
        : $"LoRA r={lora.Rank}, alpha={lora.Alpha.ToString(CultureInfo.InvariantCulture)}, "
            + $"dropout={lora.Dropout.ToString(CultureInfo.InvariantCulture)}"
            + (lora.RankStabilized ? ", rank-stabilised" : "") + $" on {string.Join(", ", lora.TargetModules)}";

    private static string KeySummary(LoadedConfig loaded)
    {
        int Count(KeyStatus status) => loaded.Keys.Count(k => k.Status == status);
        var ignored = Count(KeyStatus.Ignored);
        return $"{loaded.Keys.Count} keys given: {Count(KeyStatus.Honoured)} honoured, "
            + $"{Count(KeyStatus.Equivalent)} built in"
            + (ignored == 0 ? "" : $", {ignored} unknown and ignored") + " (nibble check lists them)";
    }

    private static void ShowSteps(Terminal terminal, PreparedRun run)
    {
        var (batch, optimizer, schedule) = (run.Config.Batch, run.Config.Optimizer, run.Config.Schedule);
        var timeline = run.Timeline;
        var name = optimizer.Kind == OptimizerKind.AdamW8Bit ? "AdamW, 8-bit states" : "AdamW, F32 states";
        new Sheet("Steps")
            .Add(
                "optimizer steps",
                $"{Words.Count(timeline.TotalSteps)} of {batch.MicroBatchSize} x {batch.AccumulationSteps} "
                + (run.Config.Sequence.SamplePacking ? "packed sequences" : "rows")
                + $", {Words.Count(timeline.StepsPerEpoch)} an epoch; {run.Workload.MeanStep:0} tokens on average, "
                + $"{Words.Count(run.Workload.LargestStep)} at most")
            .Add("optimizer", string.Create(
                CultureInfo.InvariantCulture,
                $"{name}; betas {optimizer.Beta1}, {optimizer.Beta2}, epsilon {optimizer.Epsilon:0.#e+0}, "
                + $"weight decay {optimizer.WeightDecay}, ")
                + (optimizer.MaxGradNorm > 0
                    ? $"gradient norm clipped to {optimizer.MaxGradNorm.ToString(CultureInfo.InvariantCulture)}"
                    : "no clipping"))
            .Add("learning rate", $"{Words.Rate(optimizer.LearningRate)}, {Schedule(schedule.Kind)}, "
                + $"{timeline.WarmupSteps} steps of warm-up")
            .Add("evaluates after", Words.Points(timeline.EvaluationPoints(run.Order)))
            .Add("saves after", Words.Points(timeline.SavePoints(run.Order))
                + (run.Config.Save.TotalLimit is { } limit ? $", the newest {limit} kept" : ""))
            .Add("logs every", timeline.LoggingSteps == 1 ? "step" : $"{timeline.LoggingSteps} steps")
            .Add("output", run.Config.OutputDir)
            .Show(terminal);
    }

    private static string Schedule(ScheduleKind kind) => kind switch
    {
        ScheduleKind.Cosine => "cosine",
        ScheduleKind.Linear => "linear",
        ScheduleKind.Constant => "constant",
        _ => "constant after warm-up",
    };

    private static void ShowDevice(Terminal terminal, PreparedRun run, string device, string reason)
    {
        var (plan, layers) = (run.Plan, run.Model.Layers);
        var sheet = new Sheet("Device")
            .Add("device", device)
            .Add("because", reason)
            .Add(
                "passes",
                $"up to {Words.Count(plan.PassTokens)} tokens; logits of {plan.LogitsChunk} positions at a time; "
                + (plan.RecomputedLayers == 0
                    ? "nothing recomputed"
                    : $"{plan.RecomputedLayers} of {layers} layers recomputed"
                        + (plan.OffloadsInputs ? ", their inputs wait on the host" : "")))
            .AddIf(
                "resident",
                plan.ResidentLayers == 0 ? null : $"{plan.ResidentLayers} of {layers} layers stay dequantised")
            .AddIf(
                "pinned host memory",
                plan.HostLedger.Count == 0
                    ? null
                    : string.Join(", ", plan.HostLedger.Select(i => $"{i.Item} {Words.Bytes(i.Bytes)}")));
        if (plan.StepSeconds is { } seconds)
        {
            sheet.Add("predicted time", $"{Words.Duration(seconds * run.Order.TotalSteps)} of training, "
                + $"{seconds.ToString(seconds < 0.1 ? "0.0000" : "0.00", CultureInfo.InvariantCulture)} s a step, "
                + "evaluations and saves not counted");
        }

        sheet.Show(terminal);
        var table = new Table { Border = terminal.IsPlain ? TableBorder.Ascii : TableBorder.Simple };
        table.AddColumn("memory");
        table.AddColumn(new TableColumn("bytes").RightAligned());
        table.AddColumn(new TableColumn("").RightAligned());
        foreach (var item in plan.Ledger)
        {
            table.AddRow(new Text(item.Item), new Text(Words.Count(item.Bytes)), new Text(Words.Bytes(item.Bytes)));
        }

        table.AddRow(new Text("total"), new Text(Words.Count(plan.TotalBytes)), new Text(Words.Bytes(plan.TotalBytes)));
        table.AddRow(
            new Text("budget"), new Text(Words.Count(run.BudgetBytes)), new Text(Words.Bytes(run.BudgetBytes)));
        terminal.Console.Write(table);
    }

    private static void WritePlan(Utf8JsonWriter json, MemoryPlan plan)
    {
        json.WriteNumber("pass_tokens", plan.PassTokens);
        json.WriteNumber("eval_pass_tokens", plan.EvalPassTokens);
        json.WriteNumber("logits_chunk", plan.LogitsChunk);
        json.WriteNumber("recomputed_layers", plan.RecomputedLayers);
        json.WriteBoolean("inputs_on_host", plan.OffloadsInputs);
        json.WriteNumber("resident_layers", plan.ResidentLayers);
        json.WriteBoolean("embedding_on_host", plan.TableOnHost);
        json.Number("step_seconds", plan.StepSeconds);
        json.WriteNumber("total_bytes", plan.TotalBytes);
        json.List("ledger", plan.Ledger, item => json.Item(() =>
        {
            json.WriteString("item", item.Item);
            json.WriteNumber("bytes", item.Bytes);
        }));
        json.List("host_ledger", plan.HostLedger, item => json.Item(() =>
        {
            json.WriteString("item", item.Item);
            json.WriteNumber("bytes", item.Bytes);
        }));
    }
}
