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
/// <param name="Dense">[N, K], where A follows its rows and B its columns: for the dense copy of the weight, so that a
/// device can take the weight and its adapter as one matrix. None when they are on their own.</param>
public sealed record LoraGroup(
    LoraModule[] Modules, TensorView A, TensorView B, float Scaling, TensorView Dense)
{
    // 128 bytes of BF16: rows start with a cache line of a GPU.
    private const int StrideStep = 64;

    /// <summary>Elements from row to row where columns of a factor, or of a product with one, follow
    /// others.</summary>
    /// <param name="cols">Columns in front.</param>
    /// <param name="rankSum">ΣR; 0 for nothing behind them.</param>
    public static int Stride(int cols, int rankSum) =>
        rankSum == 0 ? cols : checked((cols + rankSum + StrideStep - 1) / StrideStep * StrideStep);

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
    /// <summary>A group or null for each product of a layer, in forward order.</summary>
    public IReadOnlyList<LoraGroup?> ByProduct => [Qkv, Output, GateUp, Down];

    /// <summary>The groups that exist.</summary>
    public IEnumerable<LoraGroup> Groups => ByProduct.OfType<LoraGroup>();
}
