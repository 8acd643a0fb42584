using System.Globalization;
using Nibble.Quality.Study;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Nibble.Quality.Charts;

/// <summary>The study's pictures.</summary>
/// <param name="results">Results of one study.</param>
internal sealed class StudyCharts(IReadOnlyCollection<RunResult> results)
{
    private readonly IReadOnlyList<Group> _groups =
        [.. Group.All(results).Where(g => g.Targets != RunSpec.AttentionOnly)];

    /// <summary>A figure by rank, with full fine-tuning as a line across; bars are
    /// standard deviations over seeds.</summary>
    /// <param name="title">Heading.</param>
    /// <param name="axis">What is measured.</param>
    /// <param name="figure">Figure of a run.</param>
    public PlotModel ByRank(string title, string axis, Func<RunResult, double> figure)
    {
        var model = Picture.Create(title);
        model.Axes.Add(Picture.Styled(new LinearAxis
        {
            Position = AxisPosition.Bottom,
            Title = "rank",
            MajorStep = 1,
            Minimum = Math.Log2(RunSpec.Ranks[0]) - 0.4,
            Maximum = Math.Log2(RunSpec.Ranks[^1]) + 0.4,
            LabelFormatter = value => Math.Pow(2, value).ToString("0", CultureInfo.InvariantCulture),
        }));
        model.Axes.Add(Picture.Styled(
            new LinearAxis { Position = AxisPosition.Left, Title = axis, MinimumPadding = 0.1, MaximumPadding = 0.1 }));
        foreach (var (group, color) in _groups.Where(g => !g.Method.HasRank).Select(g => (g, Picture.Colors[0])))
        {
            model.Series.Add(Line(group.Method.Short, color, RunSpec.Ranks.Select(r => new DataPoint(
                Math.Log2(r), group.Of(figure).Mean)), MarkerType.None, LineStyle.Dash));
        }

        var methods = Method.All.Where(m => m.HasRank).ToList();
        foreach (var (method, i) in methods.Select((m, i) => (m, i)))
        {
            var color = Picture.Colors[i + 1];
            // Side by side, so that bars do not hide each other.
            var offset = 0.06 * (i - 1);
            var points = _groups.Where(g => g.Method == method)
                .Select(g => (X: Math.Log2(g.Rank) + offset, Y: g.Of(figure))).ToList();
            model.Series.Add(Line(
                method.Short, color, points.Select(p => new DataPoint(p.X, p.Y.Mean)),
                MarkerType.Circle, LineStyle.Solid));
            foreach (var (x, y) in points.Where(p => !double.IsNaN(p.Y.Deviation)))
            {
                var bar = new LineSeries { Color = color, StrokeThickness = 1.5 };
                bar.Points.Add(new DataPoint(x, y.Mean - y.Deviation));
                bar.Points.Add(new DataPoint(x, y.Mean + y.Deviation));
                model.Series.Add(bar);
            }
        }

        return model;
    }

    /// <summary>Evaluation loss over the steps, mean over seeds, at the claim's rank.</summary>
    public PlotModel BySteps()
    {
        var model = Picture.Create($"Evaluation loss over the steps (adapters: rank {RunSpec.ClaimRank})");
        model.Axes.Add(
            Picture.Styled(new LinearAxis { Position = AxisPosition.Bottom, Title = "optimizer steps", Minimum = 0 }));
        model.Axes.Add(Picture.Styled(new LogarithmicAxis
        {
            Position = AxisPosition.Left,
            Title = "loss, nats per answer token",
            Base = 2,
            StringFormat = "0.####",
        }));
        foreach (var group in _groups.Where(g => !g.Method.HasRank || g.Rank == RunSpec.ClaimRank))
        {
            var points = group.Runs.Values.SelectMany(r => r.Evals).GroupBy(e => e.Step).OrderBy(g => g.Key)
                .Select(g => new DataPoint(g.Key, g.Average(e => e.Loss)));
            var color = Picture.Colors[Method.All.ToList().IndexOf(group.Method)];
            model.Series.Add(Line(
                group.Method.Short, color, points, MarkerType.None,
                group.Method.HasRank ? LineStyle.Solid : LineStyle.Dash));
        }

        return model;
    }

    private static LineSeries Line(
        string title, OxyColor color, IEnumerable<DataPoint> points, MarkerType marker, LineStyle style)
    {
        var series = new LineSeries
        {
            Title = title,
            Color = color,
            StrokeThickness = 2,
            LineStyle = style,
            MarkerType = marker,
            MarkerSize = 3.5,
            MarkerFill = color,
        };
        series.Points.AddRange(points);
        return series;
    }
}
