namespace Nibble.Config;

internal sealed partial class RunConfigBuilder
{
    private static readonly Interval Never = new(IntervalKind.Never, 0);
    private static readonly Interval EveryEpoch = new(IntervalKind.Epoch, 0);

    private static readonly string[] NeedEvaluationData =
    [
        "eval_steps", "evals_per_epoch", "eval_strategy", "early_stopping_patience", "load_best_model_at_end",
        "generate_samples",
    ];

    private EvaluationOptions BuildEvaluation(bool hasData)
    {
        var every = IntervalOf("eval_strategy", "eval_steps", "evals_per_epoch", stepsDefault: null);
        if (!hasData)
        {
            foreach (var name in NeedEvaluationData)
            {
                if (root.Has(name) && !IsOffValue(name))
                {
                    Error(name, "there is no evaluation data; give test_datasets or val_set_size, or remove this key.");
                }
            }

            every = Never;
        }
        else
        {
            CheckBest(every);
        }

        if (hasData && every.Kind == IntervalKind.Never && root.Has("early_stopping_patience"))
        {
            Error("early_stopping_patience", "needs evaluations; eval_strategy switches them off.");
        }

        return new EvaluationOptions(
            every,
            "loss",
            root.OptionalInteger("early_stopping_patience"),
            root.Flag("load_best_model_at_end"),
            root.Flag("generate_samples"),
            root.Integer("num_generation_samples"),
            root.Integer("generation_max_new_tokens"),
            root.Number("generation_temperature"));
    }

    private SaveOptions BuildSave()
    {
        var limit = root.Integer("save_total_limit");
        if (root.Has("resume_from_checkpoint") && root.Flag("auto_resume_from_checkpoints"))
        {
            Both("resume_from_checkpoint", "auto_resume_from_checkpoints", "name the checkpoint, or let it be found");
        }

        return new SaveOptions(
            SaveInterval(),
            limit > 0 ? limit : null,
            root.Flag("save_only_model"),
            root.Flag("save_first_step"),
            root.Has("resume_from_checkpoint") ? ExistingPath(root, "resume_from_checkpoint") : null,
            root.Flag("auto_resume_from_checkpoints"));
    }

    private Interval SaveInterval() => IntervalOf("save_strategy", "save_steps", "saves_per_epoch", stepsDefault: 500);

    // CheckBest asks for the saving interval a second time, without reporting its contradictions again.
    private Interval IntervalOf(string strategy, string steps, string perEpoch, int? stepsDefault, bool report = true)
    {
        var how = root.OptionalText(strategy);
        var count = root.OptionalInteger(perEpoch) is { } given and > 0 ? given : (int?)null;
        if (report && count is not null && root.Has(steps))
        {
            Both(perEpoch, steps, "keep one");
        }

        if (report && how is "no" or "epoch")
        {
            foreach (var name in new[] { steps, perEpoch }.Where(name => root.Has(name) && !IsOffValue(name)))
            {
                Both(name, strategy, $"{strategy}: {how} leaves no room for it");
            }
        }

        if (how == "no")
        {
            return Never;
        }

        if (root.OptionalNumber(steps) is { } value)
        {
            if (report && value > 1 && value != Math.Floor(value))
            {
                Error(steps, "a value above 1 counts steps and must be whole; a share of the run is below 1.");
            }

            var interval = new Interval(value < 1 ? IntervalKind.Fraction : IntervalKind.Steps, value);
            Effects[steps] = value < 1 ? $"every {value * 100:0.##} % of the run" : $"every {value} steps";
            return how == "epoch" ? EveryEpoch : interval;
        }

        if (count is not null)
        {
            return PerEpoch(perEpoch, count.Value);
        }

        if (how != "steps")
        {
            return EveryEpoch;
        }

        if (stepsDefault is null)
        {
            if (report && root.Find(steps) is null)
            {
                Error(strategy, $"'steps' needs {steps}.");
            }

            return EveryEpoch;
        }

        Effects[strategy] = $"every {stepsDefault} steps, because {steps} is not given";
        Derived[steps] = strategy;
        return new Interval(IntervalKind.Steps, stepsDefault.Value);
    }

    private Interval PerEpoch(string name, int count)
    {
        var share = 1 / (count * root.Number("num_epochs"));
        if (count == 1 || share >= 1)
        {
            Effects[name] = "at the end of every epoch";
            return EveryEpoch;
        }

        Effects[name] = $"every {share * 100:0.##} % of the run";
        if (root.OptionalInteger("max_steps") > 0)
        {
            Effects[name] += "; with max_steps the points are spread over those steps, not over epochs";
        }

        return new Interval(IntervalKind.Fraction, share);
    }

    // A checkpoint can only be the best one if an evaluation happened where it was written.
    private void CheckBest(Interval evaluation)
    {
        if (!root.Flag("load_best_model_at_end"))
        {
            return;
        }

        var save = IntervalOf("save_strategy", "save_steps", "saves_per_epoch", stepsDefault: 500, report: false);
        if (evaluation.Kind == IntervalKind.Never || save.Kind == IntervalKind.Never)
        {
            Error("load_best_model_at_end", "needs evaluations and checkpoints, and one of them is switched off.");
            return;
        }

        // A ratio of shares such as 0.2 / 0.1 misses a whole number by rounding alone.
        var ratio = evaluation.Kind == IntervalKind.Epoch ? 1 : save.Value / evaluation.Value;
        if (evaluation.Kind != save.Kind || Math.Abs(ratio - Math.Round(ratio)) > 1e-9 * ratio || ratio < 0.5)
        {
            Error(
                "load_best_model_at_end",
                $"every checkpoint must follow an evaluation: it evaluates {InWords(evaluation)} and saves "
                + $"{InWords(save)}; make the saving interval a multiple of the evaluation interval.");
        }
    }

    private static string InWords(Interval interval) => interval.Kind switch
    {
        IntervalKind.Steps => $"every {interval.Value} steps",
        IntervalKind.Fraction => $"every {interval.Value} of the run",
        IntervalKind.Epoch => "every epoch",
        _ => "never",
    };

    private bool IsOffValue(string name) =>
        root.OptionalText(name) is null or "no" or "false" || root.OptionalNumber(name) == 0
        || ((KeyTable.Root.Find(name)!.Kind & KeyKind.Boolean) != 0 && !root.Flag(name));
}
