using System.Runtime.InteropServices;

namespace Nibble.Cuda.Interop;

/// <summary>cuBLASLt, as far as it is used. Values are those of cublasLt.h and library_types.h.</summary>
internal static unsafe partial class CublasLt
{
    internal const string Library = "cublasLt";

    internal const int TypeF32 = 0;
    internal const int TypeBf16 = 14;
    internal const int ComputeF32 = 68;
    internal const int DescTransA = 3;
    internal const int DescTransB = 4;
    internal const int DescEpilogue = 7;
    internal const int DescBiasPointer = 8;
    internal const int EpilogueBias = 4;
    internal const int LayoutRows = 2;
    internal const int LayoutCols = 3;
    internal const int LayoutLd = 4;
    internal const int PreferenceWorkspace = 1;
    internal const int PreferenceReductionMask = 3;
    internal const int PreferenceAlignmentA = 5;
    internal const int PreferenceAlignmentB = 6;
    internal const int PreferenceAlignmentC = 7;
    internal const int PreferenceAlignmentD = 8;

    // Split-K sums go through the workspace in F32 and are added in a fixed order.
    internal const uint ReductionNone = 0;
    internal const uint ReductionComputeType = 2;

    internal const int StatusNotSupported = 15;

    [LibraryImport(Library, EntryPoint = "cublasLtGetVersion")]
    internal static partial nuint GetVersion();

    [LibraryImport(Library, EntryPoint = "cublasLtCreate")]
    internal static partial int Create(out nint handle);

    [LibraryImport(Library, EntryPoint = "cublasLtDestroy")]
    internal static partial int Destroy(nint handle);

    [LibraryImport(Library, EntryPoint = "cublasLtMatmulDescCreate")]
    internal static partial int MatmulDescCreate(out nint descriptor, int computeType, int scaleType);

    [LibraryImport(Library, EntryPoint = "cublasLtMatmulDescDestroy")]
    internal static partial int MatmulDescDestroy(nint descriptor);

    [LibraryImport(Library, EntryPoint = "cublasLtMatmulDescSetAttribute")]
    internal static partial int MatmulDescSetAttribute(nint descriptor, int attribute, void* value, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cublasLtMatrixLayoutCreate")]
    internal static partial int MatrixLayoutCreate(out nint layout, int type, ulong rows, ulong cols, long ld);

    [LibraryImport(Library, EntryPoint = "cublasLtMatrixLayoutDestroy")]
    internal static partial int MatrixLayoutDestroy(nint layout);

    [LibraryImport(Library, EntryPoint = "cublasLtMatrixLayoutSetAttribute")]
    internal static partial int MatrixLayoutSetAttribute(nint layout, int attribute, void* value, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cublasLtMatmulPreferenceCreate")]
    internal static partial int MatmulPreferenceCreate(out nint preference);

    [LibraryImport(Library, EntryPoint = "cublasLtMatmulPreferenceDestroy")]
    internal static partial int MatmulPreferenceDestroy(nint preference);

    [LibraryImport(Library, EntryPoint = "cublasLtMatmulPreferenceSetAttribute")]
    internal static partial int MatmulPreferenceSetAttribute(nint preference, int attribute, void* value, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cublasLtMatmulAlgoGetHeuristic")]
    internal static partial int MatmulAlgoGetHeuristic(
        nint handle, nint descriptor, nint a, nint b, nint c, nint d, nint preference, int asked, Heuristic* results,
        out int found);

    [LibraryImport(Library, EntryPoint = "cublasLtMatmul")]
    internal static partial int Matmul(
        nint handle, nint descriptor, void* alpha, nint a, nint layoutA, nint b, nint layoutB, void* beta, nint c,
        nint layoutC,
        nint d, nint layoutD, Algorithm* algorithm, nint workspace, nuint workspaceBytes, nint stream);

    internal static void Check(int code, string call)
    {
        if (code != 0)
        {
            throw new CudaException(call, code, StatusName(code));
        }
    }

    internal static string StatusName(int code) => code switch
    {
        1 => "CUBLAS_STATUS_NOT_INITIALIZED",
        3 => "CUBLAS_STATUS_ALLOC_FAILED",
        7 => "CUBLAS_STATUS_INVALID_VALUE",
        8 => "CUBLAS_STATUS_ARCH_MISMATCH",
        11 => "CUBLAS_STATUS_MAPPING_ERROR",
        13 => "CUBLAS_STATUS_EXECUTION_FAILED",
        14 => "CUBLAS_STATUS_INTERNAL_ERROR",
        StatusNotSupported => "CUBLAS_STATUS_NOT_SUPPORTED",
        16 => "CUBLAS_STATUS_LICENSE_ERROR",
        _ => "unknown status",
    };

    /// <summary>An opaque choice of kernel: 64 bytes that stay valid for one version of the library.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Algorithm
    {
        internal fixed ulong Data[8];
    }

    /// <summary>cublasLtMatmulHeuristicResult_t.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Heuristic
    {
        internal Algorithm Algorithm;
        internal nuint WorkspaceBytes;
        internal int State;
        internal float Waves;
        internal fixed int Reserved[4];
    }
}
