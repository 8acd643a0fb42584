namespace Nibble.Tensors;

/// <summary>One trained tensor inside a <see cref="ParameterSet"/>.</summary>
/// <param name="Name">Name in the saved file.</param>
/// <param name="Offset">First element in the flat buffers.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Cols">Columns.</param>
/// <param name="Compute">Where products read it: [Rows, Cols] in the activation type, may be strided; none when
/// the master itself is read.</param>
/// <param name="ComputeScale">Factor applied when the compute copy is refreshed: LoRA's α/r on B, 1 on A.</param>
/// <param name="LearningRateRatio">Factor on the step's learning rate (LoRA+).</param>
/// <param name="Decays">Whether weight decay applies.</param>
public sealed record ParameterSlot(
    string Name,
    int Offset,
    int Rows,
    int Cols,
    TensorView Compute,
    float ComputeScale,
    float LearningRateRatio,
    bool Decays)
{
    /// <summary>Elements.</summary>
    public int Count => Rows * Cols;

    /// <summary>Whether moments stay F32 under an 8-bit optimizer: embeddings, whose rows are updated at very different
    /// rates (T. Dettmers et al., "8-bit Optimizers", 2022, section 2.3).</summary>
    public bool KeepsFullState { get; init; }
}

/// <summary>All trained tensors: masters and gradients in two flat F32 buffers of one layout.</summary>
public sealed class ParameterSet
{
    /// <summary>Names the pieces of two flat buffers.</summary>
    /// <param name="slots">Disjoint pieces.</param>
    /// <param name="master">F32 [1, n].</param>
    /// <param name="gradient">F32 [1, n].</param>
    public ParameterSet(IReadOnlyList<ParameterSlot> slots, TensorView master, TensorView gradient)
    {
        Guard.Type(master, DType.F32);
        Guard.Type(gradient, DType.F32);
        Guard.Shape(gradient, 1, master.Cols);
        (Slots, Master, Gradient) = ([.. slots], master, gradient);
    }

    /// <summary>The pieces.</summary>
    public ParameterSlot[] Slots { get; }

    /// <summary>F32 [1, n]: the weights the optimizer updates. Gaps between pieces are zero.</summary>
    public TensorView Master { get; }

    /// <summary>F32 [1, n]: the gradient of the step's loss. Gaps between pieces are zero.</summary>
    public TensorView Gradient { get; }

    /// <summary>The piece of a flat buffer that belongs to a slot, as its matrix.</summary>
    /// <param name="flat"><see cref="Master"/> or <see cref="Gradient"/>.</param>
    /// <param name="slot">One of <see cref="Slots"/>.</param>
    public static TensorView Piece(TensorView flat, ParameterSlot slot)
    {
        ArgumentNullException.ThrowIfNull(slot);
        return flat.ColRange(slot.Offset, slot.Count).Reshape(slot.Rows, slot.Cols);
    }
}

/// <summary>Optimizer state of a <see cref="ParameterSet"/>, in the layout of the rule.</summary>
public sealed class OptimizerState
{
    /// <summary>Elements from which a tensor's state is kept in 8 bits (bitsandbytes' <c>min_8bit_size</c>).</summary>
    public const int MinimumEightBitCount = 4096;

    /// <summary>Values of an 8-bit state that share an absmax.</summary>
    public const int EightBitBlockSize = 256;

    private OptimizerState(bool[] eightBit, int[] offsets, int[] blockOffsets) =>
        (IsEightBit, StateOffsets, BlockOffsets) = (eightBit, offsets, blockOffsets);

    /// <summary>Per slot: 8-bit codes (true) or F32 moments.</summary>
    public bool[] IsEightBit { get; }

    /// <summary>Per slot: first element in <see cref="Codes1"/>/<see cref="Codes2"/> or
    /// <see cref="Moment1"/>/<see cref="Moment2"/>.</summary>
    public int[] StateOffsets { get; }

    /// <summary>Per slot: first element in <see cref="AbsMax1"/>/<see cref="AbsMax2"/>; 0 for F32 slots.</summary>
    public int[] BlockOffsets { get; }

    /// <summary>F32 [1, ·]: first moments of F32 slots; none when there are none.</summary>
    public TensorView Moment1 { get; private set; }

    /// <summary>F32 [1, ·]: second moments of F32 slots.</summary>
    public TensorView Moment2 { get; private set; }

    /// <summary>U8 [1, ·]: codes of first moments (signed dynamic map) of 8-bit slots.</summary>
    public TensorView Codes1 { get; private set; }

    /// <summary>U8 [1, ·]: codes of second moments (unsigned dynamic map) of 8-bit slots.</summary>
    public TensorView Codes2 { get; private set; }

    /// <summary>F32 [1, ·]: block maxima of first moments.</summary>
    public TensorView AbsMax1 { get; private set; }

    /// <summary>F32 [1, ·]: block maxima of second moments.</summary>
    public TensorView AbsMax2 { get; private set; }

    /// <summary>Every state tensor that exists, with the name it is saved under.</summary>
    public IEnumerable<(string Name, TensorView View)> Tensors =>
        new[]
        {
            ("moment1", Moment1), ("moment2", Moment2), ("codes1", Codes1), ("codes2", Codes2), ("absmax1", AbsMax1),
            ("absmax2", AbsMax2),
        }.Where(t => !t.Item2.IsNone);

    /// <summary>Lays the state out and takes its memory, which the caller zero-fills.</summary>
    /// <param name="slots">The trained tensors.</param>
    /// <param name="eightBit">Whether large tensors keep 8-bit state.</param>
    /// <param name="arena">Where the state lives.</param>
    public static OptimizerState Allocate(IReadOnlyList<ParameterSlot> slots, bool eightBit, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(slots);
        ArgumentNullException.ThrowIfNull(arena);
        var isEightBit = new bool[slots.Count];
        var offsets = new int[slots.Count];
        var blockOffsets = new int[slots.Count];
        var (codes, moments, blocks) = (0, 0, 0);
        for (var i = 0; i < slots.Count; i++)
        {
            var count = slots[i].Count;
            isEightBit[i] = eightBit && count >= MinimumEightBitCount && !slots[i].KeepsFullState;
            if (isEightBit[i])
            {
                (offsets[i], blockOffsets[i]) = (codes, blocks);
                codes = checked(codes + Align(count));
                blocks += (count + EightBitBlockSize - 1) / EightBitBlockSize;
            }
            else
            {
                offsets[i] = moments;
                moments = checked(moments + Align(count));
            }
        }

        var state = new OptimizerState(isEightBit, offsets, blockOffsets);
        if (moments > 0)
        {
            state.Moment1 = arena.Allocate(DType.F32, 1, moments);
            state.Moment2 = arena.Allocate(DType.F32, 1, moments);
        }

        if (codes > 0)
        {
            state.Codes1 = arena.Allocate(DType.U8, 1, codes);
            state.Codes2 = arena.Allocate(DType.U8, 1, codes);
            state.AbsMax1 = arena.Allocate(DType.F32, 1, blocks);
            state.AbsMax2 = arena.Allocate(DType.F32, 1, blocks);
        }

        return state;
    }

    private static int Align(int count) => (count + 63) / 64 * 64;
}
