namespace Nibble.Tensors;

/// <summary>
/// A device: its memory and its ops. One file per op under <c>Ops/</c> adds to this interface, so a backend without a
/// twin does not compile. Ops are enqueued in call order and run in that order, <see cref="Offload"/> and
/// <see cref="Fetch"/> beside them; <see cref="Synchronize"/> and <see cref="Download"/> wait. An instance is used by
/// one thread at a time. The same calls give the same bits. Every op accepts strided views unless it says otherwise,
/// and empty ones (zero rows).
/// </summary>
public partial interface IBackend : IDisposable
{
    /// <summary>Device name for people.</summary>
    string Name { get; }

    /// <summary>Type of activations, and of the compute copies of trained weights: F32
    /// on a CPU, BF16 on a GPU.</summary>
    DType ActivationType { get; }

    /// <summary>Scratch for dequantised weights, at least the largest quantised weight in <see cref="ActivationType"/>
    /// when <see cref="NeedsDequantizationScratch"/>; set once by the owner of the plan.</summary>
    TensorView DequantizationScratch { get; set; }

    /// <summary>Whether products with quantised weights go through <see cref="DequantizationScratch"/>.</summary>
    bool NeedsDequantizationScratch { get; }

    /// <summary>Takes zero-filled memory.</summary>
    /// <param name="bytes">Size.</param>
    /// <param name="kind">Where.</param>
    /// <exception cref="OutOfDeviceMemoryException">The device refused.</exception>
    DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device);

    /// <summary>Copies host bytes into a gapless view; the source may be reused on return.</summary>
    /// <param name="source">Exactly the view's bytes.</param>
    /// <param name="destination">Gapless.</param>
    void Upload(ReadOnlySpan<byte> source, TensorView destination);

    /// <summary>Waits for everything enqueued, then copies a gapless view to the host.</summary>
    /// <param name="source">Gapless.</param>
    /// <param name="destination">Exactly the view's bytes.</param>
    void Download(TensorView source, Span<byte> destination);

    /// <summary>Fills with zero bits.</summary>
    /// <param name="destination">Any type.</param>
    void Zero(TensorView destination);

    /// <summary>Waits until everything enqueued has run.</summary>
    void Synchronize();
}

/// <summary>The device refused an allocation.</summary>
/// <param name="message">Asked for, free, and what to do.</param>
public sealed class OutOfDeviceMemoryException(string message) : Exception(message);

/// <summary>A device, its driver or a library of it failed at something it had accepted.</summary>
/// <param name="message">What failed, how, and what to do.</param>
public class DeviceFailureException(string message) : Exception(message);
