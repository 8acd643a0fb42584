namespace Nibble.Models.Decoder;

/// <summary>Where in a run a pass stands, which fixes its dropout masks.</summary>
/// <param name="Seed">Philox key.</param>
/// <param name="Step">Optimizer step, from 0.</param>
/// <param name="FirstToken">Tokens of the step before this pass.</param>
public readonly record struct DropoutPlace(ulong Seed, int Step, long FirstToken)
{
    /// <summary>Philox stream of one adapter group.</summary>
    /// <param name="layer">Layer.</param>
    /// <param name="group">0 … 3: qkv, o, gate-up, down.</param>
    public ulong Stream(int layer, int group) => ((ulong)(uint)Step << 32) | (uint)((layer * 4) + group);
}
