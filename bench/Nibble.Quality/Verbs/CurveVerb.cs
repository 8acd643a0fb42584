using System.CommandLine;
using Nibble.Quality.Charts;

namespace Nibble.Quality.Verbs;

/// <summary><c>curve</c>: the losses of a run as a picture.</summary>
internal static class CurveVerb
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var metrics = new Argument<FileInfo>("metrics") { Description = "metrics.jsonl of a run." };
        var output = new Option<FileInfo>("--out") { Description = "SVG file to write.", Required = true };
        var title =
            new Option<string>("--title") { Description = "Heading.", DefaultValueFactory = _ => "Loss of the run" };
        var command = new Command("curve", "Draws training and evaluation loss of a run.") { metrics, output, title };
        command.SetAction(arguments =>
        {
            var file = arguments.GetRequiredValue(metrics);
            var curve = LossCurve.Read(File.ReadLines(file.FullName));
            if (curve.Train.Count + curve.Eval.Count == 0)
            {
                Console.Error.WriteLine($"{file}: expected lines with train/loss or eval/loss, found none.");
                return 2;
            }

            var target = arguments.GetRequiredValue(output);
            File.WriteAllText(target.FullName, Picture.Svg(CurveChart.Draw(arguments.GetRequiredValue(title), curve)));
            Console.WriteLine($"{target}: {curve.Train.Count} training and {curve.Eval.Count} evaluation losses");
            return 0;
        });
        return command;
    }
}
