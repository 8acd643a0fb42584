using System.Runtime.CompilerServices;

namespace Nibble.Cpu.Gemm;

/// <summary>The register tile without vectors: up to 4 rows against one or two columns.</summary>
internal static unsafe class TileScalar
{
    /// <summary>Most rows of a tile.</summary>
    public const int MaxRows = 4;

    /// <inheritdoc cref="TileKernels"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TRows, TVectors>(
        float* a, nint aStep, float* b, nint bStep, nint k, float alpha, float* init, nint initStep,
        float* c, nint cStep)
        where TRows : unmanaged
        where TVectors : unmanaged
    {
        for (var column = 0; column < sizeof(TVectors); column++)
        {
            float r0 = 0, r1 = 0, r2 = 0, r3 = 0;
            float* ap = a, bp = b + column;
            for (var i = k; i > 0; i--, ap += aStep, bp += bStep)
            {
                r0 += ap[0] * *bp;
                r1 += sizeof(TRows) > 1 ? ap[1] * *bp : 0;
                r2 += sizeof(TRows) > 2 ? ap[2] * *bp : 0;
                r3 += sizeof(TRows) > 3 ? ap[3] * *bp : 0;
            }

            c[column] = init[column] + alpha * r0;
            if (sizeof(TRows) > 1)
            {
                c[cStep + column] = init[initStep + column] + alpha * r1;
            }

            if (sizeof(TRows) > 2)
            {
                c[2 * cStep + column] = init[2 * initStep + column] + alpha * r2;
            }

            if (sizeof(TRows) > 3)
            {
                c[3 * cStep + column] = init[3 * initStep + column] + alpha * r3;
            }
        }
    }
}
