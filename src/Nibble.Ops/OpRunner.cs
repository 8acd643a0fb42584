using Nibble.Tensors;

namespace Nibble.Ops;

/// <summary>A named result of a case.</summary>
/// <param name="Name">Name.</param>
/// <param name="Type">Type it was stored in.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Cols">Columns.</param>
/// <param name="Values">Row by row.</param>
/// <param name="Tolerance">How far another backend's may lie from it.</param>
public sealed record OpOutput(string Name, DType Type, int Rows, int Cols, double[] Values, Tolerance Tolerance);

/// <summary>Runs cases.</summary>
public static class OpRunner
{
    /// <summary>Runs a case and reads its outputs.</summary>
    /// <param name="opCase">The case.</param>
    /// <param name="backend">Where to run it.</param>
    /// <exception cref="GuardException">The op wrote outside its arguments.</exception>
    public static IReadOnlyList<OpOutput> Run(OpCase opCase, IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(opCase);
        ArgumentNullException.ThrowIfNull(backend);
        return Run(opCase, backend, backend.ActivationType);
    }

    /// <summary>What the reference says a backend should give.</summary>
    /// <param name="opCase">The case.</param>
    /// <param name="activations">Activation type of that backend.</param>
    public static IReadOnlyList<OpOutput> RunReference(OpCase opCase, DType activations)
    {
        ArgumentNullException.ThrowIfNull(opCase);
        using var reference = new ReferenceBackend(activations == DType.BF16 ? DType.BF16 : DType.F64);
        return Run(opCase, reference, activations);
    }

    private static IReadOnlyList<OpOutput> Run(OpCase opCase, IBackend backend, DType inputs)
    {
        using var scope = new OpScope(opCase, backend, inputs, null);
        var scratch = backend.DequantizationScratch;
        try
        {
            opCase.Body(scope);
            return scope.Collect();
        }
        finally
        {
            backend.DequantizationScratch = scratch;
        }
    }
}
