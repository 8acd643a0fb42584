using System.Text;

namespace Nibble.Quality.Study;

/// <summary>The study as a page. Every figure and every sentence about one comes from the results.</summary>
/// <param name="results">Results of one study.</param>
/// <param name="rates">Learning rate of each method.</param>
/// <param name="epochs">Passes over the training rows.</param>
internal sealed class StudyDocument(
    IReadOnlyCollection<RunResult> results, IReadOnlyDictionary<string, double> rates, int epochs)
{
    /// <summary>File of the chart of losses by rank.</summary>
    public const string LossByRank = "quality-loss-by-rank.svg";

    /// <summary>File of the chart of exact matches by rank.</summary>
    public const string ExactByRank = "quality-exact-by-rank.svg";

    /// <summary>File of the chart of losses over steps.</summary>
    public const string LossBySteps = "quality-loss-by-steps.svg";

    private readonly IReadOnlyList<Group> _groups = Group.All(results);
    private readonly StringBuilder _page = new();

    /// <summary>The page.</summary>
    public string Text()
    {
        var full = _groups.FirstOrDefault(g => !g.Method.HasRank);
        var any = _groups[0];
        var rows = any.First.Answers!.Rows;
        var seeds = any.Runs.Count;
        var devices = string.Join("; ", _groups.Select(g => g.First.Device).Distinct());
        Add($"""
            # What four bits cost: QLoRA beside full fine-tuning

            Made by `dotnet run -c Release --project bench/Nibble.Quality -- study --seeds {seeds} --write docs`;
            every figure is in [quality.json](quality.json). Everyone has the same base (`examples/nl2bash/model`), the
            same rows (`examples/nl2bash/train.jsonl`) and the same {any.First.Steps} steps ({epochs} passes over the
            rows, {any.First.Tokens:N0} tokens). {seeds} seeds decide the order of rows, the first adapters and
            dropout. Measured on the {rows} rows of `examples/nl2bash/val.jsonl`, which no run trains on and no choice
            is made by. Device: {devices}.

            Adapters: α = 2 r, dropout 0.05, on every linear layer unless said. All: {Setting.RowsPerStep} rows a step,
            8-bit AdamW, cosine after 5 % warm-up, weight decay 0.01, gradient norm clipped to 1. FP4 without double
            quantisation is what `adapter: lora` with `load_in_4bit: true` trained under the defaults of older stacks,
            whatever their documents said.

            ## The answer


            """);
        Claims(full);
        Add(
            $"\n![Evaluation loss by rank]({LossByRank})\n\n![Exact matches by rank]({ExactByRank})\n\n"
            + "Bars: one standard deviation over the seeds, either way.\n");
        Quality(full);
        Targets(full);
        Add($"\n## On the way\n\n![Evaluation loss over the steps]({LossBySteps})\n");
        Cost();
        Rates();
        Limits(rows);
        return _page.ToString();
    }

    private void Claims(Group? full)
    {
        if (full is null)
        {
            Add("There are no runs of full fine-tuning among the results: nothing to compare with.\n");
            return;
        }

        var methods = Method.All.Where(m => m.HasRank && Of(m).Count > 0).ToList();
        var withinOne = methods.SelectMany(Of).Select(g => (Group: g, Ratio: g.Ratio(full, r => r.FinalLoss))).ToList();
        var (closest, ratio) = withinOne.MinBy(g => g.Ratio.Mean);
        Add(
            $"**Within 1 % of full fine-tuning:** {Count(withinOne.Select(g => g.Ratio))} The lowest is "
            + $"{closest.Method.Title} at rank {closest.Rank}, "
            + $"{ratio.Mean:F3} times the loss of full fine-tuning.\n\n");
        var enough = methods.SelectMany(m => Above(m).Select(g => Claim(m)!.Ratio(g, r => r.FinalLoss))).ToList();
        if (enough.Count > 0)
        {
            Add(
                $"**Rank {RunSpec.ClaimRank} is enough** (its loss at most 1 % above a higher rank's): "
                + $"{Count(enough)}\n\n");
        }

        Add(
            "Losses after the last step. Each ratio is the mean of those of runs with the same seed, "
            + "with its 95 % interval (Student's t); \"yes\" and \"no\" need the whole interval, "
            + "\"open\" is what the seeds do not settle.\n");
        Matrix(
            "loss ÷ full fine-tuning", methods, RunSpec.Ranks, (m, rank) => Of(m, rank)?.Ratio(full, r => r.FinalLoss));
        Matrix(
            "the same by each run's best evaluation", methods, RunSpec.Ranks,
            (m, rank) => Of(m, rank)?.Ratio(full, r => r.BestLoss));
        Matrix(
            $"loss at rank {RunSpec.ClaimRank} ÷ loss at", methods,
            [.. RunSpec.Ranks.Where(r => r > RunSpec.ClaimRank)],
            (m, rank) => Of(m, rank) is { } other ? Claim(m)?.Ratio(other, r => r.FinalLoss) : null);
        Matrix(
            "what four bits alone cost: loss ÷ LoRA on the bf16 base, same rank and seed",
            methods.Where(m => m != Method.Lora), RunSpec.Ranks,
            (m, rank) => Of(Method.Lora, rank) is { } other ? Of(m, rank)?.Ratio(other, r => r.FinalLoss) : null);
    }

    private List<Group> Of(Method method) =>
        [.. _groups.Where(g => g.Method == method && g.Targets == RunSpec.AllLinear)];

    private Group? Of(Method method, int rank) => Of(method).FirstOrDefault(g => g.Rank == rank);

    private Group? Claim(Method method) => Of(method, RunSpec.ClaimRank);

    private List<Group> Above(Method method) =>
        Claim(method) is null ? [] : [.. Of(method).Where(g => g.Rank > RunSpec.ClaimRank)];

    private void Matrix(
        string heading, IEnumerable<Method> methods, IReadOnlyList<int> ranks, Func<Method, int, Estimate?> cell)
    {
        var rows = methods.Select(m => (Method: m, Cells: ranks.Select(r => cell(m, r)).ToList()))
            .Where(r => r.Cells.Any(c => c is not null)).ToList();
        if (rows.Count == 0)
        {
            return;
        }

        Add($"\n| {heading} | {string.Join(" | ", ranks.Select(r => $"r = {r}"))} |\n");
        Add($"|---{string.Concat(ranks.Select(_ => "|---"))}|\n");
        foreach (var (method, cells) in rows)
        {
            var words = cells.Select(c => c is { } ratio ? $"{Ratio(ratio)}: {Word(ratio)}" : "");
            Add($"| {method.Title} | {string.Join(" | ", words)} |\n");
        }
    }

    private static string Count(IEnumerable<Estimate> ratios)
    {
        var verdicts = ratios.Select(Word).ToList();
        var (yes, no) = (verdicts.Count(v => v == Yes), verdicts.Count(v => v == No));
        var open = verdicts.Count - yes - no;
        var verdict = yes == verdicts.Count ? "it holds"
            : no > 0 || yes == 0 ? "it does not hold in general"
            : "it is not settled";
        return $"{verdict}. Of {verdicts.Count} comparisons {yes} say yes, {no} say no, "
            + $"{open} {(open == 1 ? "is" : "are")} open.";
    }

    private void Quality(Group? full)
    {
        Add("""

            ## Losses and answers

            Mean ± standard deviation over the seeds. Loss in nats per answer token. Exact match: every character of the
            greedy answer; command only: a well-formed command, nothing beside it, ended by the model.

            | method | rank | final loss | ÷ full | best loss | ÷ full | exact match | command only | same program |
            |---|---|---|---|---|---|---|---|---|

            """);
        var bases = results.Where(r => r.Spec.Part == Part.Base)
            .OrderBy(r => Method.All.ToList().FindIndex(m => m.Id == r.Spec.Method));
        foreach (var result in bases)
        {
            var answers = result.Answers!;
            Add(
                $"| no training, {Base(result.Spec.Method)} | | {result.FinalLoss:F4} | | | | {answers.ExactMatch:P1} "
                + $"| {answers.CommandOnly:P1} | {answers.SameProgram:P1} |\n");
        }

        foreach (var group in _groups.Where(g => g.Targets != RunSpec.AttentionOnly))
        {
            QualityRow(group, full, group.Method.Title);
        }
    }

    private void QualityRow(Group group, Group? full, string name)
    {
        string Relative(Func<RunResult, double> figure) =>
            full is null || group == full ? "1" : Ratio(group.Ratio(full, figure));
        Add(
            $"| {name} | {(group.Rank > 0 ? group.Rank : "")} | {Loss(group, r => r.FinalLoss)} | "
            + $"{Relative(r => r.FinalLoss)} | {Loss(group, r => r.BestLoss)} | {Relative(r => r.BestLoss)} | "
            + $"{Share(group, r => r.Answers!.ExactMatch)} | {Share(group, r => r.Answers!.CommandOnly)} | "
            + $"{Share(group, r => r.Answers!.SameProgram)} |\n");
    }

    private void Targets(Group? full)
    {
        var narrow = _groups.Where(g => g.Targets == RunSpec.AttentionOnly).ToList();
        if (narrow.Count == 0)
        {
            return;
        }

        Add($"""

            ## Where adapters sit

            The reference run put its adapters on q, k, v and o alone. At r = {RunSpec.ClaimRank}, with the same
            learning rate:

            | method, targets | rank | final loss | ÷ full | best loss | ÷ full |
            """);
        Add(" exact match | command only | same program |\n|---|---|---|---|---|---|---|---|---|\n");
        foreach (var group in narrow)
        {
            var everywhere = _groups.Where(g => g.Targets == RunSpec.AllLinear);
            if (everywhere.FirstOrDefault(g => g.Method == group.Method && g.Rank == group.Rank) is { } wide)
            {
                QualityRow(wide, full, $"{group.Method.Title}; all linear");
            }

            QualityRow(group, full, $"{group.Method.Title}; q, k, v, o");
        }
    }

    private void Cost()
    {
        Add($"""

            ## Memory and time

            State: weights, trained parameters, gradients and optimizer, what the method decides. Plan: with activations
            and what the plan keeps for speed (dequantised copies of 4-bit weights, while there is room), without the
            driver's own share. Seconds are those of {_groups[0].First.Steps} steps with their evaluations. On a model
            this small activations outweigh the weights: neither memory nor seconds say anything about 7B.

            | method | rank | trained parameters | state, MiB | plan, MiB | seconds of training |
            |---|---|---|---|---|---|

            """);
        foreach (var group in _groups.Where(g => g.Targets != RunSpec.AttentionOnly))
        {
            var alone = group.Runs.Values.Where(r => !r.IsShared).ToList();
            Add(
                $"| {group.Method.Title} | {(group.Rank > 0 ? group.Rank : "")} | {group.First.Trainable:N0} | "
                + $"{Mib(group.First.StateBytes)} | {Mib(group.First.PlanBytes)} | "
                + $"{(alone.Count > 0 ? $"{alone.Average(r => r.Seconds):F1}" : "not measured")} |\n");
        }

        if (_groups.SelectMany(g => g.Runs.Values).Any(r => r.IsShared))
        {
            Add("\nSome runs trained several at a time on one card; seconds are those of runs that had it alone.\n");
        }
    }

    private void Rates()
    {
        var most = Method.All.Max(m => m.Rates.Count);
        Add($"""

            ## Learning rates

            One rate per method, chosen at r = {RunSpec.SweepRank} with another seed by the final loss on one training
            row in {Setting.HeldBackEvery}, held back from these runs. The validation rows played no part.

            | method | {string.Join(" | ", Enumerable.Range(1, most).Select(i => $"rate {i}: loss"))} | chosen |
            |---{string.Concat(Enumerable.Repeat("|---", most + 1))}|

            """);
        foreach (var method in Method.All.Where(m => rates.ContainsKey(m.Id)))
        {
            var tried = results.Where(r => r.Spec.Part == Part.Sweep && r.Spec.Method == method.Id)
                .OrderBy(r => r.Spec.Rate).ToList();
            Add(
                $"| {method.Title} | {string.Join(" | ", tried.Select(r => $"{r.Spec.Rate:G2}: {r.FinalLoss:F4}"))} | "
                + $"{rates[method.Id]:G2} |\n");
        }

        var edges = Method.All.Where(
            m => rates.TryGetValue(m.Id, out var rate) && (rate == m.Rates[0] || rate == m.Rates[^1])).ToList();
        if (edges.Count > 0)
        {
            Add(
                "\nThe chosen rate is the first or the last of those tried for: "
                + $"{string.Join("; ", edges.Select(m => m.Title))}. A better one may lie beyond.\n");
        }
    }

    private void Limits(int rows)
    {
        Add($"""

            ## What this does not show

            - A small model on a small domain. What four bits cost depends on size; nothing here is about 7B.
            - {rows} validation rows: one answer is {1.0 / rows:P1} of an exact-match rate. The intervals are over
              seeds, not over rows.
            - The validation rows ask for known commands with other values and often other words. Another domain may
              need less or more of a base.
            - Adapters have dropout, full fine-tuning has none, as both are usually run.
            - One learning rate for all ranks of a method, one schedule, one number of steps; α = 2 r keeps the
              adapters' scale the same.

            """);
    }

    private static string Base(string method) => Method.Of(method) switch
    {
        var m when m == Method.Nf4 => "base in NF4",
        var m when m == Method.Fp4 => "base in FP4",
        _ => "base as it is",
    };

    private const string Yes = "yes";
    private const string No = "no";

    private static string Word(Estimate ratio) => ratio.AtMost(1.01) switch
    {
        Verdict.Holds => Yes,
        Verdict.Fails => No,
        Verdict.HoldsOnAverage => "open, on average yes",
        _ => "open, on average no",
    };

    private static string Ratio(Estimate ratio) => double.IsNaN(ratio.HalfWidth)
        ? $"{ratio.Mean:F3}"
        : $"{ratio.Mean:F3}, {ratio.Low:F3} to {ratio.High:F3}";

    private static string Loss(Group group, Func<RunResult, double> figure) => Spread(group.Of(figure), "F4");

    private static string Share(Group group, Func<RunResult, double> figure) =>
        Spread(group.Of(r => 100 * figure(r)), "F1") + " %";

    private static string Spread(Estimate value, string format) => double.IsNaN(value.Deviation)
        ? value.Mean.ToString(format)
        : $"{value.Mean.ToString(format)} ± {value.Deviation.ToString(format)}";

    private static string Mib(long bytes) => $"{bytes / (1024.0 * 1024):F1}";

    private void Add(string text) => _page.Append(text);
}
