using Nibble.Cuda;
using Nibble.Tensors;

namespace Nibble.Testing;

/// <summary>Opens a card, or skips the test with the reason why there is none.</summary>
internal static class TestCards
{
    private static string? _missing;

    /// <summary>A card with activations of a type.</summary>
    public static CudaBackend Open(DType activations)
    {
        // Asking for a card that is not there costs a library search: once is enough.
        if (_missing is null)
        {
            try
            {
                return new CudaBackend(new CudaOptions { ActivationType = activations });
            }
            catch (CudaUnavailableException missing)
            {
                _missing = missing.Message;
            }
        }

        Assert.Skip(_missing);
        throw new InvalidOperationException("Skip returned");
    }
}
