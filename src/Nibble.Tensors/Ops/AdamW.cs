namespace Nibble.Tensors;

/// <summary>Constants of one optimizer step.</summary>
/// <param name="LearningRate">lr of this step.</param>
/// <param name="Beta1">β1.</param>
/// <param name="Beta2">β2.</param>
/// <param name="Epsilon">ε.</param>
/// <param name="WeightDecay">λ.</param>
/// <param name="Step">t, counted from 1.</param>
/// <param name="MaxNorm">Global norm to clip to; 0 for no clipping.</param>
/// <param name="DecayAfter">Decay after the step (bitsandbytes) instead of before it (PyTorch).</param>
public readonly record struct AdamWStep(
    float LearningRate, float Beta1, float Beta2, float Epsilon, float WeightDecay, int Step, float MaxNorm,
    bool DecayAfter);

public partial interface IBackend
{
    /// <summary>Global norm: <c>norm = sqrt(Σ g²)</c> in a fixed order, F64 accumulation.</summary>
    /// <param name="gradient">F32 [1, n].</param>
    /// <param name="norm">F32 [1, 1].</param>
    void GradientNorm(TensorView gradient, TensorView norm);

    /// <summary>
    /// One AdamW step over every slot, then <see cref="RefreshCompute"/>. With
    /// <c>c = min(1, MaxNorm / (norm + 1e-6))</c> and g = c · gradient:
    /// <list type="bullet">
    /// <item>F32 slots: <c>m = β1 m + (1-β1) g</c>, <c>v = β2 v + (1-β2) g²</c>,
    /// <c>p -= lr · (m / (1-β1^t)) / (sqrt(v / (1-β2^t)) + ε)</c>, decay <c>p *= 1 - lr λ</c> before
    /// (PyTorch) or after the step.</item>
    /// <item>8-bit slots: the block-wise update of bitsandbytes, blocks of 256 within the slot: moments are read as
    /// <c>map[code] · absmax</c>, the update uses the unquantised new moments in the form
    /// <c>p += -lr · (c2 / c1) · m / (sqrt(v) + c2 ε)</c> with <c>c1 = 1-β1^t, c2 = sqrt(1-β2^t)</c>, then
    /// both are coded to the nearest map value of m / max|m|, v / max v; a first-moment code whose sign
    /// differs from m's moves one towards it.</item>
    /// </list>
    /// A gradient element that is not finite leaves its parameter untouched and zeroes its moments in 8-bit slots.
    /// Source: I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization" (2019); torch.optim.AdamW; T. Dettmers
    /// et al., "8-bit Optimizers via Block-wise Quantization" (2022), bitsandbytes csrc/kernels.cu.
    /// </summary>
    /// <param name="parameters">Masters, gradients, compute copies.</param>
    /// <param name="state">Moments.</param>
    /// <param name="step">Constants.</param>
    /// <param name="norm">F32 [1, 1] from <see cref="GradientNorm"/>; read on the device.</param>
    void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm);

    /// <summary>Writes every slot's compute copy:
    /// <c>compute = ComputeScale · master</c>, rounded to its type.</summary>
    /// <param name="parameters">Masters and compute copies.</param>
    void RefreshCompute(ParameterSet parameters);
}
