using System.Runtime.InteropServices;

namespace Nibble.Cpu.Gemm;

/// <summary>Counts as types: <c>sizeof</c> of one is the count, which the compiler folds
/// without inlining anything.</summary>
internal static class Count
{
    [StructLayout(LayoutKind.Sequential, Size = 1)]
    internal struct C1;

    [StructLayout(LayoutKind.Sequential, Size = 2)]
    internal struct C2;

    [StructLayout(LayoutKind.Sequential, Size = 3)]
    internal struct C3;

    [StructLayout(LayoutKind.Sequential, Size = 4)]
    internal struct C4;

    [StructLayout(LayoutKind.Sequential, Size = 5)]
    internal struct C5;

    [StructLayout(LayoutKind.Sequential, Size = 6)]
    internal struct C6;

    [StructLayout(LayoutKind.Sequential, Size = 7)]
    internal struct C7;

    [StructLayout(LayoutKind.Sequential, Size = 8)]
    internal struct C8;

    [StructLayout(LayoutKind.Sequential, Size = 9)]
    internal struct C9;

    [StructLayout(LayoutKind.Sequential, Size = 10)]
    internal struct C10;

    [StructLayout(LayoutKind.Sequential, Size = 11)]
    internal struct C11;

    [StructLayout(LayoutKind.Sequential, Size = 12)]
    internal struct C12;

    [StructLayout(LayoutKind.Sequential, Size = 13)]
    internal struct C13;

    [StructLayout(LayoutKind.Sequential, Size = 14)]
    internal struct C14;
}
