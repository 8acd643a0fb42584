using Nibble.Tensors;

namespace Nibble.Ops;

/// <summary>
/// What a case's body works with: a backend, seeded inputs, and the outputs to compare. Every tensor stands between
/// guard bytes that must survive, gaps between rows included; fresh outputs hold NaN, so an element that is not written
/// shows.
/// </summary>
public sealed class OpScope : IDisposable
{
    private const byte GuardByte = 0xA5;
    private const int GuardBytes = 64;

    private readonly OpCase _case;
    private readonly DType _inputs;
    private readonly Perturbation? _perturbation;
    private readonly List<Piece> _pieces = [];
    private readonly List<(string Name, TensorView View, Tolerance Tolerance)> _expected = [];
    private readonly List<OpOutput> _reported = [];
    private readonly List<DeviceMemory> _memory = [];
    private readonly ulong _key;
    private ulong _stream;

    internal OpScope(OpCase opCase, IBackend backend, DType inputs, Perturbation? perturbation)
    {
        (_case, Backend, _inputs, _perturbation) = (opCase, backend, inputs, perturbation);
        _key = 14695981039346656037;
        foreach (var letter in opCase.Op + opCase.Name)
        {
            _key = (_key ^ letter) * 1099511628211;
        }
    }

    /// <summary>The backend under test.</summary>
    public IBackend Backend { get; }

    /// <summary>Its activation type.</summary>
    public DType Activation => Backend.ActivationType;

    /// <summary>F32, or F64 on the reference.</summary>
    public DType Real => Activation == DType.F64 ? DType.F64 : DType.F32;

    /// <summary>Whether the case's gradients are to be claimed.</summary>
    public bool ClaimsGradient => _case.HasGradient;

    internal double LossValue { get; private set; }

    internal List<(string Input, TensorView Gradient, double[] Before)> Gradients { get; } = [];

    internal Dictionary<string, double[]> Inputs { get; } = [];

    /// <summary>Normal numbers in the activation type.</summary>
    /// <param name="name">Name.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="scale">Standard deviation.</param>
    public TensorView Input(string name, int rows, int cols, double scale = 1) =>
        Input(name, Activation, rows, cols, scale);

    /// <summary>Normal numbers.</summary>
    /// <param name="name">Name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="scale">Standard deviation.</param>
    /// <param name="mean">Mean.</param>
    public TensorView Input(string name, DType type, int rows, int cols, double scale = 1, double mean = 0) =>
        Input(name, type, Normal(rows, cols, scale, mean));

    /// <summary>Given numbers.</summary>
    /// <param name="name">Name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="values">Rows of numbers; rounded to <paramref name="type"/>, and activations to the type compared
    /// with.</param>
    public TensorView Input(string name, DType type, double[,] values) =>
        Input(name, type, type == Activation ? _inputs : type, values);

    /// <summary>Given numbers in <see cref="Real"/>.</summary>
    /// <param name="name">Name.</param>
    /// <param name="values">Rows of numbers, rounded to F32.</param>
    public TensorView RealInput(string name, double[,] values) =>
        Input(name, Real, _inputs == DType.F64 ? DType.F64 : DType.F32, values);

    /// <summary>Ids, positions or boundaries.</summary>
    /// <param name="values">The numbers.</param>
    public TensorView Integers(params int[] values) => Make(DType.I32, 1, values.Length, false, i => values[i]);

    /// <summary>A tensor to be overwritten, full of NaN, and compared afterwards.</summary>
    /// <param name="name">Name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="tolerance">How far it may lie from the reference.</param>
    public TensorView Output(string name, DType type, int rows, int cols, Tolerance tolerance)
    {
        var view = Fresh(type, rows, cols);
        Expect(name, view, tolerance);
        return view;
    }

    /// <summary>A tensor full of NaN (bytes: of guard bytes) that is not compared.</summary>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    public TensorView Fresh(DType type, int rows, int cols) =>
        Make(type, rows, cols, _case.Layout == Layout.Strided && type is not (DType.U8 or DType.I32),
            _ => type is DType.U8 or DType.I32 ? GuardByte : double.NaN);

    /// <summary>A gapless tensor full of zeros, whatever the layout of the case.</summary>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    public TensorView Gapless(DType type, int rows, int cols) => Make(type, rows, cols, false, _ => 0);

    /// <summary>Given numbers in a gapless, aligned tensor, whatever the layout of the case.</summary>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="values">By row-major index; rounded to <paramref name="type"/> and to the type compared
    /// with.</param>
    public TensorView Gapless(DType type, int rows, int cols, Func<int, double> values) =>
        Make(type, rows, cols, false, i => Rounded(values(i), type == Activation ? _inputs : type));

    /// <summary>Compares a tensor when the body is done.</summary>
    /// <param name="name">Name.</param>
    /// <param name="view">Made by this scope, or gapless.</param>
    /// <param name="tolerance">How far it may lie from the reference.</param>
    public void Expect(string name, TensorView view, Tolerance tolerance) => _expected.Add((name, view, tolerance));

    /// <summary>Compares a number that the op returned.</summary>
    /// <param name="name">Name.</param>
    /// <param name="value">The number.</param>
    /// <param name="tolerance">How far it may lie from the reference.</param>
    public void Report(string name, double value, Tolerance tolerance) =>
        _reported.Add(new OpOutput(name, DType.F32, 1, 1, [value], tolerance));

    /// <summary>Memory for types that take an arena.</summary>
    /// <param name="bytes">Size.</param>
    /// <param name="kind">Where.</param>
    public Arena Arena(long bytes, MemoryKind kind = MemoryKind.Device)
    {
        var memory = Backend.Allocate(bytes, kind);
        _memory.Add(memory);
        return new Arena(memory);
    }

    /// <summary>Adds <c>Σ y · dy</c> to the loss whose gradient the case claims. Only on the reference.</summary>
    /// <param name="y">Output of a forward op.</param>
    /// <param name="dy">Its gradient.</param>
    public void Loss(TensorView y, TensorView dy)
    {
        if (Activation == DType.F64)
        {
            var (ys, dys) = (Read(y), Read(dy));
            for (var i = 0; i < ys.Length; i++)
            {
                LossValue += ys[i] * dys[i];
            }
        }
    }

    /// <summary>Claims, before the backward op is called, that it will write (or add) the loss's gradient.</summary>
    /// <param name="input">Name of an input.</param>
    /// <param name="gradient">Where its gradient will be, of the same shape.</param>
    /// <param name="added">Whether the gradient is added to what stands there now.</param>
    public void Gradient(string input, TensorView gradient, bool added = false)
    {
        if (!_case.HasGradient)
        {
            throw new InvalidOperationException($"{_case.Id} claims a gradient without {nameof(OpCase.HasGradient)}");
        }

        if (Activation == DType.F64)
        {
            Gradients.Add((input, gradient, added ? Read(gradient) : new double[gradient.Count]));
        }
    }

    /// <summary>Seeded normal numbers.</summary>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="scale">Standard deviation.</param>
    /// <param name="mean">Mean.</param>
    public double[,] Normal(int rows, int cols, double scale = 1, double mean = 0)
    {
        var values = new double[rows, cols];
        _stream++;
        for (var i = 0; i < values.Length; i++)
        {
            var words = Philox.Words(_key, (ulong)i, _stream);
            var radius = Math.Sqrt(-2 * Math.Log(1 - Philox.Uniform(words.X)));
            values[i / cols, i % cols] = mean + scale * radius * Math.Cos(2 * Math.PI * Philox.Uniform(words.Y));
        }

        return values;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var memory in _memory)
        {
            memory.Dispose();
        }
    }

    internal IReadOnlyList<OpOutput> Collect()
    {
        Backend.Synchronize();
        CheckGuards();
        return
        [
            .. _expected.Select(
                e => new OpOutput(e.Name, e.View.DType, e.View.Rows, e.View.Cols, Read(e.View), e.Tolerance)),
            .. _reported,
        ];
    }

    internal unsafe double[] Read(TensorView view)
    {
        var piece = _pieces.Find(p => p.View == view);
        var bytes = piece is null ? new byte[view.Bytes] : new byte[piece.Bytes.Length];
        Backend.Download(piece is null ? view : piece.Whole, bytes);
        fixed (byte* first = bytes)
        {
            var copy = new TensorView(
                (nint)first + (piece?.Lead ?? 0), view.DType, view.Rows, view.Cols,
                piece is null ? view.Cols : view.Stride);
            var values = new double[view.Count];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = new Elements(copy)[i / view.Cols, i % view.Cols];
            }

            return values;
        }
    }

    private unsafe TensorView Make(DType type, int rows, int cols, bool strided, Func<int, double> value)
    {
        var size = type.Size();
        var (lead, stride) = strided ? (size, cols + 3) : (0, cols);
        var bytes = new byte[lead + (long)rows * stride * size + GuardBytes];
        bytes.AsSpan().Fill(GuardByte);
        fixed (byte* first = bytes)
        {
            var elements = new Elements(new TensorView((nint)first + lead, type, rows, cols, stride));
            for (var i = 0; i < rows * cols; i++)
            {
                elements[i / cols, i % cols] = value(i);
            }
        }

        var memory = Backend.Allocate(bytes.Length);
        _memory.Add(memory);
        var whole = new TensorView(memory.Address, DType.U8, 1, bytes.Length);
        Backend.Upload(bytes, whole);
        var view = new TensorView(memory.Address + lead, type, rows, cols, stride);
        _pieces.Add(new Piece(view, whole, lead, bytes));
        return view;
    }

    /// <summary>Given numbers, rounded to a given type.</summary>
    /// <param name="name">Name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="rounding">Type the numbers are rounded to first.</param>
    /// <param name="values">Rows of numbers.</param>
    public TensorView Input(string name, DType type, DType rounding, double[,] values)
    {
        var (rows, cols) = (values.GetLength(0), values.GetLength(1));
        var flat = new double[rows * cols];
        for (var i = 0; i < flat.Length; i++)
        {
            flat[i] = Rounded(values[i / cols, i % cols], rounding) + (_perturbation?.Of(name, i) ?? 0);
        }

        Inputs[name] = flat;
        return Make(type, rows, cols, _case.Layout == Layout.Strided && type != DType.U8, i => flat[i]);
    }

    private static double Rounded(double value, DType type) => type switch
    {
        DType.F32 => (float)value,
        DType.BF16 => Bf16.ToSingle(Bf16.FromSingle((float)value)),
        DType.F16 => (double)(Half)(float)value,
        _ => value,
    };

    private void CheckGuards()
    {
        foreach (var piece in _pieces)
        {
            var now = new byte[piece.Bytes.Length];
            Backend.Download(piece.Whole, now);
            var (view, size) = (piece.View, piece.View.DType.Size());
            var from = 0;
            for (var row = 0; row < view.Rows && view.Cols > 0; row++)
            {
                var start = piece.Lead + row * view.Stride * size;
                Intact(piece, now, from, start);
                from = start + view.Cols * size;
            }

            Intact(piece, now, from, now.Length);
        }
    }

    private void Intact(Piece piece, ReadOnlySpan<byte> now, int from, int to)
    {
        var at = now[from..to].IndexOfAnyExcept(GuardByte);
        if (at >= 0)
        {
            throw new GuardException(
                $"{_case.Id} on {Backend.Name}: "
                + $"byte {from + at - piece.Lead} of {piece.View} is outside and was written");
        }
    }

    private sealed record Piece(TensorView View, TensorView Whole, int Lead, byte[] Bytes);
}

/// <summary>An op wrote where no element of its arguments is.</summary>
/// <param name="message">Case, backend, tensor, byte.</param>
public sealed class GuardException(string message) : InvalidOperationException(message);

/// <summary>Moves one input along a direction.</summary>
internal sealed record Perturbation(string Input, double Step, Func<int, double> Direction)
{
    public double Of(string input, int i) => input == Input ? Step * Direction(i) : 0;
}
