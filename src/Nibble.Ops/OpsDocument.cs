using System.Text;

namespace Nibble.Ops;

/// <summary>The page <c>docs/ops.md</c>, made from the cases.</summary>
public static class OpsDocument
{
    /// <summary>The whole page.</summary>
    public static string Render()
    {
        var text = new StringBuilder(
            """
            # Ops

            Made from the cases in `src/Nibble.Ops`; a test compares this page with them. The contract of an op
            (formula, shapes, types, aliasing, source) is the documentation of its method in `src/Nibble.Tensors/Ops/`.

            Every case runs on every backend and is compared with the reference backend (scalar, double) within the
            tolerance of [numerics.md](numerics.md); it runs twice and must give the same bits; guard bytes around every
            tensor and between its rows must survive. *Gradients* counts the cases whose backward pass is also compared
            with central differences of the forward pass. *Strided* counts those with odd row gaps and misaligned first
            elements.


            """.ReplaceLineEndings("\n"));
        text.Append("| op | cases | strided | gradients |\n|---|---|---|---|\n");
        var ops = OpCases.All.GroupBy(c => c.Op).OrderBy(g => g.Key, StringComparer.Ordinal).ToList();
        foreach (var op in ops)
        {
            text.Append(
                $"| [{op.Key}](#{op.Key.ToLowerInvariant()}) | {op.Count()} | "
                + $"{op.Count(c => c.Layout == Layout.Strided)} | {op.Count(c => c.HasGradient)} |\n");
        }

        text.Append(
            $"| all | {OpCases.All.Count} | {OpCases.All.Count(c => c.Layout == Layout.Strided)} | "
            + $"{OpCases.All.Count(c => c.HasGradient)} |\n");
        foreach (var op in ops)
        {
            text.Append($"\n## {op.Key}\n\n");
            foreach (var name in op.Select(c => c.Name).Distinct())
            {
                var gradient = op.Any(c => c.Name == name && c.HasGradient) ? " ∂" : "";
                text.Append($"- {name}{gradient}\n");
            }
        }

        return text.ToString();
    }
}
