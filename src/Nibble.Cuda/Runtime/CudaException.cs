using System.Runtime.CompilerServices;
using Nibble.Cuda.Interop;

namespace Nibble.Cuda;

/// <summary>A call into NVIDIA's libraries failed.</summary>
public sealed class CudaException : Exception
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
            parenthesis < 0 ? call : call[..parenthesis], code, $"{Driver.ErrorName(code)}: {Driver.ErrorText(code)}");
    }
}

/// <summary>This machine cannot run the CUDA backend; the message says what is missing and how to get it.</summary>
/// <param name="message">What is missing, what was tried, what to do.</param>
public sealed class CudaUnavailableException(string message) : Exception(message);
