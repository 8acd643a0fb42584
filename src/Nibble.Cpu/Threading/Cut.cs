namespace Nibble.Cpu.Threading;

/// <summary>Equal pieces of a range.</summary>
internal static class Cut
{
    /// <summary>First element of a piece.</summary>
    /// <param name="piece">0 … pieces; <paramref name="pieces"/> gives the end.</param>
    /// <param name="pieces">How many pieces.</param>
    /// <param name="count">Elements in all.</param>
    public static int Start(int piece, int pieces, int count) => (int)((long)piece * count / pieces);
}
