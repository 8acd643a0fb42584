namespace Nibble.Cpu.Gemm;

/// <summary>One matrix product: <c>c = init + α · op(a) · op(b)</c>, init being c itself, the bias, or zero.</summary>
internal unsafe struct Product
{
    /// <summary>Rows of c.</summary>
    public int M;

    /// <summary>Columns of c.</summary>
    public int N;

    /// <summary>Terms of each sum.</summary>
    public int K;

    /// <summary>[M, K], or [K, M] when <see cref="TransposeA"/>.</summary>
    public float* A;

    /// <summary>Floats between rows of a.</summary>
    public nint AStride;

    /// <summary>a is stored transposed.</summary>
    public bool TransposeA;

    /// <summary>[K, N], or [N, K] when <see cref="TransposeB"/>.</summary>
    public RowSource B;

    /// <summary>b is stored transposed.</summary>
    public bool TransposeB;

    /// <summary>[M, N].</summary>
    public float* C;

    /// <summary>Floats between rows of c.</summary>
    public nint CStride;

    /// <summary>α.</summary>
    public float Alpha;

    /// <summary>Add to c.</summary>
    public bool Accumulate;

    /// <summary>[N] added to every row when not accumulating, or null.</summary>
    public float* Bias;
}
