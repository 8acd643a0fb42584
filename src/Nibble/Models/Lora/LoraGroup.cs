using Nibble.Tensors;

namespace Nibble.Models.Lora;

/// <summary>One adapted module inside a group.</summary>
/// <param name="Name">Path in the base model: <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="FirstRow">Its first row of the stacked weight.</param>
/// <param name="Rows">Its output width N_i.</param>
/// <param name="FirstRank">Its first row of the stacked A.</param>
/// <param name="A">Slot of A, [R, K].</param>
/// <param name="B">Slot of B, [N_i, R].</param>
public sealed record LoraModule(string Name, int FirstRow, int Rows, int FirstRank, ParameterSlot A, ParameterSlot B);

/// <summary>
/// Adapters of modules that share their input, run as one product: the A factors stacked, [ΣR, K], and the B factors
/// block-diagonal, [N, ΣR], already scaled by α/r, so <c>y += (x Aᵀ) Bᵀ</c> is two
/// products whatever the number of modules.
/// </summary>
/// <param name="Modules">Adapted modules, top to bottom.</param>
/// <param name="A">Compute copy of the stacked A, [ΣR, K].</param>
/// <param name="B">Compute copy of the block-diagonal scaled B, [N, ΣR].</param>
/// <param name="Scaling">α/r: the gradient of an unscaled B carries it once.</param>
public sealed record LoraGroup(LoraModule[] Modules, TensorView A, TensorView B, float Scaling)
{
    /// <summary>ΣR.</summary>
    public int RankSum => A.Rows;

    /// <summary>K.</summary>
    public int In => A.Cols;
}

/// <summary>Adapters of one layer; a group without adapted modules is null.</summary>
/// <param name="Qkv">q, k, v.</param>
/// <param name="Output">o.</param>
/// <param name="GateUp">gate, up.</param>
/// <param name="Down">down.</param>
public sealed record LoraLayer(LoraGroup? Qkv, LoraGroup? Output, LoraGroup? GateUp, LoraGroup? Down)
{
    /// <summary>The groups that exist.</summary>
    public IEnumerable<LoraGroup> Groups => new[] { Qkv, Output, GateUp, Down }.OfType<LoraGroup>();
}
