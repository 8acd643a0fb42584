using System.Globalization;
using Nibble.Checkpoints;

namespace Nibble.Validation.Checks;

/// <summary>The checkpoint, loaded afresh, gives the evaluation loss that training recorded.</summary>
/// <param name="recorded">Loss that training recorded; see <see cref="RecordedLoss"/>.</param>
/// <param name="evaluate">Loads base and adapter and evaluates.</param>
/// <param name="relativeTolerance">Largest |difference| / |recorded|; 0 asks for equal bits.</param>
/// <param name="reason">Why the tolerance is what it is; shown.</param>
public sealed class EvalReproducesCheck(double recorded, Func<double> evaluate, double relativeTolerance, string reason)
    : ICheck
{
    /// <inheritdoc/>
    public string Name => "eval reproduces";

    /// <summary>The evaluation loss that a checkpoint recorded at its own step, or null when none was taken
    /// there.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <exception cref="CheckpointException">The trainer state is absent or malformed.</exception>
    public static double? RecordedLoss(string folder)
    {
        var state = TrainerState.Read(folder);
        foreach (var entry in state.LogHistory.Reverse())
        {
            if (entry.Step == state.GlobalStep && entry.Values.TryGetValue("eval_loss", out var loss))
            {
                return loss;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        var found = evaluate();
        var difference = Math.Abs(found - recorded) / Math.Abs(recorded);

        // Equality first: it also covers a recorded loss of zero.
        var agrees = found == recorded || difference <= relativeTolerance;
        yield return new Finding(
            Name,
            agrees ? CheckStatus.Pass : CheckStatus.Fail,
            $"{Text(recorded)} within {Text(relativeTolerance)} relative",
            Text(found),
            $"difference {Text(difference)} relative; tolerance: {reason}");
    }

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
}
