using System.Text;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;

namespace Nibble.Quality.Charts;

/// <summary>Charts as SVG, readable on light and dark pages.</summary>
internal static class Picture
{
    private const int Width = 720;
    private const int Height = 400;

    private static readonly OxyColor Ink = OxyColor.FromRgb(31, 35, 40);
    private static readonly OxyColor Grid = OxyColor.FromRgb(209, 217, 224);

    /// <summary>Colours that keep their distance on white and on black and for colour-blind eyes (M. Okabe and K. Ito,
    /// "Color Universal Design", 2008; yellow left out).</summary>
    public static IReadOnlyList<OxyColor> Colors { get; } =
    [
        OxyColor.FromRgb(0, 114, 178), OxyColor.FromRgb(213, 94, 0), OxyColor.FromRgb(0, 158, 115),
        OxyColor.FromRgb(204, 121, 167), OxyColor.FromRgb(230, 159, 0),
    ];

    /// <summary>An empty chart.</summary>
    /// <param name="title">Heading.</param>
    public static PlotModel Create(string title)
    {
        var model = new PlotModel
        {
            Title = title,
            TitleFontSize = 15,
            TitleFontWeight = FontWeights.Bold,
            DefaultFont = "Helvetica, Arial, sans-serif",
            TextColor = Ink,
            PlotAreaBorderThickness = new OxyThickness(0),
            Background = OxyColors.White,
        };
        model.Legends.Add(new Legend
        {
            LegendPosition = LegendPosition.TopCenter,
            LegendPlacement = LegendPlacement.Outside,
            LegendOrientation = LegendOrientation.Horizontal,
            LegendBorderThickness = 0,
            LegendBackground = OxyColors.Undefined,
        });
        return model;
    }

    /// <summary>Styles an axis.</summary>
    /// <param name="axis">Axis; title and range are its own.</param>
    public static T Styled<T>(T axis)
        where T : Axis
    {
        axis.AxislineStyle = LineStyle.Solid;
        axis.AxislineColor = Ink;
        axis.TicklineColor = Ink;
        axis.MajorGridlineStyle = axis.Position == AxisPosition.Left ? LineStyle.Solid : LineStyle.None;
        axis.MajorGridlineColor = Grid;
        axis.MinorTickSize = 0;
        return axis;
    }

    /// <summary>The chart as SVG text that follows the reader's light or dark setting.</summary>
    /// <param name="model">Chart.</param>
    public static string Svg(PlotModel model)
    {
        using var stream = new MemoryStream();
        new SvgExporter
        {
            Width = Width,
            Height = Height,
            IsDocument = false,
            TextMeasurer = new WideText(),
        }.Export(model, stream);
        var svg = Encoding.UTF8.GetString(stream.ToArray()).TrimStart('\uFEFF')
            .Replace("\r\n", "\n", StringComparison.Ordinal);

        // Some renderers ignore the baseline; a shift by part of the font's size they all know.
        foreach (var (baseline, shift) in new[] { ("hanging", "0.76em"), ("middle", "0.36em") })
        {
            svg = svg.Replace($"dominant-baseline=\"{baseline}\"", $"dy=\"{shift}\"", StringComparison.Ordinal);
        }

        var at = svg.IndexOf('>', svg.IndexOf("<svg", StringComparison.Ordinal)) + 1;
        return svg[..at] + Dark + svg[at..].TrimEnd() + "\n";
    }

    // The chart carries its light colours; a page in dark mode replaces ink, grid and ground.
    private const string Dark = """

        <style>
        @media (prefers-color-scheme: dark) {
          text { fill: #e6edf3 !important; }
          [style*="stroke:rgb(31,35,40)"] { stroke: #e6edf3 !important; }
          [style*="stroke:rgb(209,217,224)"] { stroke: #30363d !important; }
          [style*="fill:rgb(255,255,255)"] { fill: #0d1117 !important; }
        }
        </style>
        """;

    // Room for the widest sans-serif that a reader's machine may take: 0.62 of the size a letter, 1.3 a line.
    private sealed class WideText() : PdfRenderContext(Width, Height, OxyColors.White)
    {
        public override OxySize MeasureText(string text, string fontFamily, double fontSize, double fontWeight) =>
            string.IsNullOrEmpty(text) ? OxySize.Empty : new OxySize(0.62 * fontSize * text.Length, 1.3 * fontSize);
    }
}
