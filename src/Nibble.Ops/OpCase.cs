namespace Nibble.Ops;

/// <summary>Where a case puts its tensors.</summary>
public enum Layout
{
    /// <summary>Rows without gaps, aligned.</summary>
    Gapless,

    /// <summary>Rows with gaps of odd width, one element past an aligned address.</summary>
    Strided,
}

/// <summary>
/// One call of an op on inputs that are the same on every machine. To add a case, add a line to the list in the op's
/// own file under <c>Ops/</c>; to add an op, add its file there and name its list in <see cref="OpCases"/>.
/// </summary>
/// <param name="Op">Name of the method of the contract.</param>
/// <param name="Name">Shape and options.</param>
/// <param name="Body">Makes inputs, calls the op, names outputs.</param>
public sealed record OpCase(string Op, string Name, Action<OpScope> Body)
{
    /// <summary>Where the tensors lie.</summary>
    public Layout Layout { get; init; }

    /// <summary>Whether the case states a loss and gradients, to be compared with differences.</summary>
    public bool HasGradient { get; init; }

    /// <summary>Op, name and layout: unique.</summary>
    public string Id => $"{Op}: {Name}{(Layout == Layout.Strided ? ", strided" : "")}";

    /// <inheritdoc/>
    public override string ToString() => Id;

    /// <summary>The case without gaps and with gaps.</summary>
    internal OpCase[] InBothLayouts() => [this, this with { Layout = Layout.Strided }];
}
