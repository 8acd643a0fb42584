using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Nibble.Quality.Charts;

/// <summary>Training and evaluation loss over a run.</summary>
internal static class CurveChart
{
    /// <summary>Draws a run.</summary>
    /// <param name="title">Heading.</param>
    /// <param name="curve">Its losses.</param>
    public static PlotModel Draw(string title, LossCurve curve)
    {
        var model = Picture.Create(title);
        model.Axes.Add(
            Picture.Styled(new LinearAxis { Position = AxisPosition.Bottom, Title = "optimizer steps", Minimum = 0 }));
        model.Axes.Add(Picture.Styled(new LinearAxis
        {
            Position = AxisPosition.Left,
            Title = "loss, nats per token",
            Minimum = 0,
        }));
        model.Series.Add(Line("training rows", curve.Train, Picture.Colors[0], MarkerType.None));
        model.Series.Add(Line("held-out rows", curve.Eval, Picture.Colors[1], MarkerType.Circle));
        return model;
    }

    private static LineSeries Line(string title, IReadOnlyList<CurvePoint> points, OxyColor color, MarkerType marker)
    {
        var series = new LineSeries
        {
            Title = title,
            Color = color,
            StrokeThickness = 2,
            MarkerType = marker,
            MarkerSize = 3.5,
            MarkerFill = color,
        };
        series.Points.AddRange(points.Select(p => new DataPoint(p.Step, p.Loss)));
        return series;
    }
}
