using System.Runtime.CompilerServices;

namespace Nibble.Tensors;

/// <summary>Argument checks of ops: both sides of a mismatch in every message.</summary>
public static class Guard
{
    /// <summary>Requires a shape.</summary>
    /// <param name="view">The argument.</param>
    /// <param name="rows">Rows expected.</param>
    /// <param name="cols">Columns expected.</param>
    /// <param name="name">Filled in by the compiler.</param>
    /// <exception cref="ShapeException">The shape differs.</exception>
    public static void Shape(
        TensorView view, int rows, int cols, [CallerArgumentExpression(nameof(view))] string name = "")
    {
        if (view.Rows != rows || view.Cols != cols)
        {
            throw new ShapeException($"{name}: expected [{rows}, {cols}], got {view}");
        }
    }

    /// <summary>Requires an element type.</summary>
    /// <param name="view">The argument.</param>
    /// <param name="type">Type expected.</param>
    /// <param name="name">Filled in by the compiler.</param>
    /// <exception cref="ShapeException">The type differs.</exception>
    public static void Type(
        TensorView view, DType type, [CallerArgumentExpression(nameof(view))] string name = "")
    {
        if (view.DType != type)
        {
            throw new ShapeException($"{name}: expected {type}, got {view}");
        }
    }

    /// <summary>Requires rows without gaps.</summary>
    /// <param name="view">The argument.</param>
    /// <param name="name">Filled in by the compiler.</param>
    /// <exception cref="ShapeException">The view has gaps.</exception>
    public static void Contiguous(TensorView view, [CallerArgumentExpression(nameof(view))] string name = "")
    {
        if (!view.IsContiguous)
        {
            throw new ShapeException($"{name}: expected rows without gaps, got {view}");
        }
    }

    /// <summary>Requires the two ends of a copy: gapless, of one shape and type.</summary>
    /// <param name="from">Source.</param>
    /// <param name="to">Destination.</param>
    /// <exception cref="ShapeException">They differ or have gaps.</exception>
    public static void Transfer(TensorView from, TensorView to)
    {
        Contiguous(from);
        Contiguous(to);
        Type(to, from.DType);
        Shape(to, from.Rows, from.Cols);
    }

    /// <summary>Requires a transfer that was started.</summary>
    /// <param name="transfer">The argument.</param>
    /// <param name="started">Transfers that the backend has started.</param>
    /// <exception cref="ArgumentException">It was not.</exception>
    public static void Started(Transfer transfer, long started)
    {
        if (transfer.Number < 0 || transfer.Number > started)
        {
            throw new ArgumentException(
                $"expected one of the {started} transfers of this backend, got number {transfer.Number}",
                nameof(transfer));
        }
    }
}

/// <summary>An op was called with shapes or types that do not go together.</summary>
/// <param name="message">Argument, expected and found.</param>
public sealed class ShapeException(string message) : ArgumentException(message);
