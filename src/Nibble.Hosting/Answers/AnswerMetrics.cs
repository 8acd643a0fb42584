namespace Nibble.Hosting.Answers;

/// <summary>Answers in numbers. Rates are shares of all rows, 0 to 1; NaN without rows.</summary>
public sealed record AnswerMetrics
{
    /// <summary>Rows.</summary>
    public required int Rows { get; init; }

    /// <summary>Answers that equal the reference after trimming: every character counts.</summary>
    public required double ExactMatch { get; init; }

    /// <summary>Answers that are a command and nothing else: <see cref="Answer.IsCommand"/>.</summary>
    public required double CommandOnly { get; init; }

    /// <summary>Answers that run the reference's program: <see cref="Answer.IsSameProgram"/>.</summary>
    public required double SameProgram { get; init; }

    /// <summary>Answers that the model ended itself, before the limit of new tokens.</summary>
    public required double Terminated { get; init; }

    /// <summary>Answers that <c>bash -n</c> parses; null where it was not asked or is not installed.</summary>
    public double? BashSyntax { get; init; }

    /// <summary>Tokens of an answer, mean.</summary>
    public required double MeanTokens { get; init; }

    /// <summary>Counts answers.</summary>
    /// <param name="answers">One per row.</param>
    /// <param name="bash">Whether bash parses each, in the same order; null where it was not asked.</param>
    public static AnswerMetrics Of(IReadOnlyList<Answer> answers, IReadOnlyList<bool>? bash = null)
    {
        ArgumentNullException.ThrowIfNull(answers);
        double Share(Func<Answer, bool> holds) => answers.Count(holds) / (double)answers.Count;
        return new AnswerMetrics
        {
            Rows = answers.Count,
            ExactMatch = Share(a => a.IsExact),
            CommandOnly = Share(a => a.IsCommand),
            SameProgram = Share(a => a.IsSameProgram),
            Terminated = Share(a => a.Terminated),
            BashSyntax = bash is null ? null : bash.Count(ok => ok) / (double)answers.Count,
            MeanTokens = answers.Sum(a => (double)a.Tokens) / answers.Count,
        };
    }
}
