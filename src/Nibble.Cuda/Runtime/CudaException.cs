using System.Runtime.CompilerServices;
using Nibble.Cuda.Interop;
using Nibble.Tensors;

namespace Nibble.Cuda;

/// <summary>A call into NVIDIA's libraries failed.</summary>
public sealed class CudaException : DeviceFailureException
{
    /// <summary>Records a failed call.</summary>
    /// <param name="call">The call.</param>
    /// <param name="code">What it returned.</param>
    /// <param name="text">The code's name and meaning.</param>
    public CudaException(string call, int code, string text)
        : base($"{call} returned {code}: {text}") => (Call, Code) = (call, code);

    /// <summary>The call that failed.</summary>
    public string Call { get; }

    /// <summary>What it returned.</summary>
    public int Code { get; }

    internal static void Check(int code, [CallerArgumentExpression(nameof(code))] string call = "")
    {
        if (code != 0)
        {
            Throw(code, call);
        }
    }

    internal static void Throw(int code, string call)
    {
        var parenthesis = call.IndexOf('(', StringComparison.Ordinal);
        throw new CudaException(
            parenthesis < 0 ? call : call[..parenthesis], code,
            $"{Driver.ErrorName(code)}: {Driver.ErrorText(code)}{Advice(code)}");
    }

    /// <summary>What to do about a code after which the card does nothing more for
    /// this process; else nothing.</summary>
    /// <remarks>The codes whose description in cuda.h says that the process must be started again: memory and link
    /// errors that were not corrected, and kernels that ran into something.</remarks>
    internal static string Advice(int code) => code is 214 or 220 or 226 or 700 or 702 or 710 or (>= 714 and <= 719)
        ? ". The card does nothing more for this process: start again. Checkpoints are not touched; training goes on "
            + "from the newest with --resume. If it happens again, look at the card: nvidia-smi -q, dmesg"
        : "";
}

/// <summary>This machine cannot run the CUDA backend; the message says what is missing and how to get it.</summary>
/// <param name="message">What is missing, what was tried, what to do.</param>
public sealed class CudaUnavailableException(string message) : Exception(message);
