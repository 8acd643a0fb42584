using Nibble.Cuda.Interop;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// The library's objects for one class of products. The library is column-major: it sees cᵀ = op(b)ᵀ op(a)ᵀ, so its
/// first operand is our b. Extents are rewritten in place when a shape of the class differs from the last.
/// </summary>
internal sealed unsafe class ProductPlan : IDisposable
{
    private readonly nint _descriptor;
    private readonly Operand _b;
    private readonly Operand _a;
    private readonly Operand _c;

    internal ProductPlan(in Product product)
    {
        CublasLt.Check(
            CublasLt.MatmulDescCreate(out _descriptor, CublasLt.ComputeF32, CublasLt.TypeF32),
            "cublasLtMatmulDescCreate");
        SetDescriptor(CublasLt.DescTransA, product.TransposeB ? 1 : 0);
        SetDescriptor(CublasLt.DescTransB, product.TransposeA ? 1 : 0);
        if (!product.Bias.IsNone)
        {
            SetDescriptor(CublasLt.DescEpilogue, CublasLt.EpilogueBias);
        }

        _a = new Operand(product.A);
        _b = new Operand(product.B);
        _c = new Operand(product.C);
    }

    /// <summary>The chosen kernel.</summary>
    internal CublasLt.Algorithm Algorithm { get; set; }

    /// <summary>Makes the objects describe this product.</summary>
    internal void Describe(in Product product)
    {
        _a.Describe(product.A);
        _b.Describe(product.B);
        _c.Describe(product.C);
        if (!product.Bias.IsNone)
        {
            var address = product.Bias.Address;
            CublasLt.Check(
                CublasLt.MatmulDescSetAttribute(_descriptor, CublasLt.DescBiasPointer, &address, (nuint)sizeof(nint)),
                "cublasLtMatmulDescSetAttribute");
        }
    }

    /// <summary>Up to <paramref name="count"/> kernels for the product described last, best guess first.</summary>
    internal int Candidates(nint handle, nint preference, CublasLt.Heuristic* results, int count)
    {
        var code = CublasLt.MatmulAlgoGetHeuristic(
            handle, _descriptor, _b.Layout, _a.Layout, _c.Layout, _c.Layout, preference, count, results, out var found);
        return code == 0 ? found : 0;
    }

    /// <summary>Enqueues the product described last.</summary>
    internal int Run(
        nint handle, in Product product, nint output, bool accumulate, CublasLt.Algorithm algorithm, nint workspace,
        long workspaceBytes, nint stream)
    {
        var (alpha, beta) = (product.Alpha, accumulate ? 1f : 0f);
        return CublasLt.Matmul(
            handle, _descriptor, &alpha, product.B.Address, _b.Layout, product.A.Address, _a.Layout, &beta, output,
            _c.Layout,
            output, _c.Layout, &algorithm, workspace, (nuint)workspaceBytes, stream);
    }

    public void Dispose()
    {
        _ = CublasLt.MatmulDescDestroy(_descriptor);
        _a.Dispose();
        _b.Dispose();
        _c.Dispose();
    }

    private void SetDescriptor(int attribute, int value) =>
        CublasLt.Check(
            CublasLt.MatmulDescSetAttribute(_descriptor, attribute, &value, sizeof(int)),
            "cublasLtMatmulDescSetAttribute");

    /// <summary>One matrix; a row of ours is a column there.</summary>
    private sealed class Operand : IDisposable
    {
        private int _rows;
        private int _cols;
        private int _stride;

        internal Operand(TensorView view)
        {
            (_rows, _cols, _stride) = (view.Rows, view.Cols, Pitch(view));
            CublasLt.Check(
                CublasLt.MatrixLayoutCreate(
                    out var layout, view.DType == DType.BF16 ? CublasLt.TypeBf16 : CublasLt.TypeF32, (ulong)_cols,
                    (ulong)_rows,
                    _stride),
                "cublasLtMatrixLayoutCreate");
            Layout = layout;
        }

        internal nint Layout { get; }

        internal void Describe(TensorView view)
        {
            if (view.Cols != _cols)
            {
                _cols = view.Cols;
                Set(CublasLt.LayoutRows, (ulong)_cols);
            }

            if (view.Rows != _rows)
            {
                _rows = view.Rows;
                Set(CublasLt.LayoutCols, (ulong)_rows);
            }

            if (Pitch(view) != _stride)
            {
                _stride = Pitch(view);
                Set(CublasLt.LayoutLd, (ulong)_stride);
            }
        }

        public void Dispose() => _ = CublasLt.MatrixLayoutDestroy(Layout);

        private static int Pitch(TensorView view) => Math.Max(view.Stride, 1);

        private void Set(int attribute, ulong value) =>
            CublasLt.Check(
                CublasLt.MatrixLayoutSetAttribute(Layout, attribute, &value, sizeof(ulong)),
                "cublasLtMatrixLayoutSetAttribute");
    }
}
