using System.Runtime.InteropServices;
using System.Text;

namespace Nibble.Cuda.Interop;

/// <summary>The run-time compiler: CUDA C++ text to a cubin.</summary>
internal static unsafe partial class Nvrtc
{
    internal const string Library = "nvrtc";

    [LibraryImport(Library, EntryPoint = "nvrtcVersion")]
    internal static partial int Version(out int major, out int minor);

    [LibraryImport(Library, EntryPoint = "nvrtcCreateProgram", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CreateProgram(
        out nint program, string source, string name, int headerCount, byte** headers, byte** headerNames);

    [LibraryImport(Library, EntryPoint = "nvrtcCompileProgram")]
    private static partial int CompileProgram(nint program, int optionCount, byte** options);

    [LibraryImport(Library, EntryPoint = "nvrtcGetProgramLogSize")]
    private static partial int GetProgramLogSize(nint program, out nuint size);

    [LibraryImport(Library, EntryPoint = "nvrtcGetProgramLog")]
    private static partial int GetProgramLog(nint program, byte* log);

    [LibraryImport(Library, EntryPoint = "nvrtcGetCUBINSize")]
    private static partial int GetCubinSize(nint program, out nuint size);

    [LibraryImport(Library, EntryPoint = "nvrtcGetCUBIN")]
    private static partial int GetCubin(nint program, byte* cubin);

    [LibraryImport(Library, EntryPoint = "nvrtcDestroyProgram")]
    private static partial int DestroyProgram(ref nint program);

    [LibraryImport(Library, EntryPoint = "nvrtcGetErrorString")]
    private static partial nint GetErrorString(int error);

    /// <summary>Compiles one file; headers are found by name.</summary>
    /// <exception cref="CudaException">The compiler refused; the message holds its log.</exception>
    internal static byte[] Compile(
        string name, string source, IReadOnlyList<(string Name, string Source)> headers, IReadOnlyList<string> options)
    {
        using var texts = new NativeTexts();
        var headerSources = texts.Array(headers.Select(h => h.Source));
        var headerNames = texts.Array(headers.Select(h => h.Name));
        Check(CreateProgram(out var program, source, name, headers.Count, headerSources, headerNames),
            "nvrtcCreateProgram", name);
        try
        {
            var code = CompileProgram(program, options.Count, texts.Array(options));
            if (code != 0)
            {
                throw new CudaException($"nvrtcCompileProgram({name})", code, $"{ErrorText(code)}\n{Log(program)}");
            }

            Check(GetCubinSize(program, out var size), "nvrtcGetCUBINSize", name);
            var cubin = new byte[(int)size];
            fixed (byte* bytes = cubin)
            {
                Check(GetCubin(program, bytes), "nvrtcGetCUBIN", name);
            }

            return cubin;
        }
        finally
        {
            _ = DestroyProgram(ref program);
        }
    }

    private static string Log(nint program)
    {
        if (GetProgramLogSize(program, out var size) != 0 || size <= 1)
        {
            return "";
        }

        var log = new byte[(int)size];
        fixed (byte* bytes = log)
        {
            return GetProgramLog(program, bytes) == 0 ? Encoding.UTF8.GetString(log).TrimEnd('\0', '\n') : "";
        }
    }

    private static string ErrorText(int error) => Marshal.PtrToStringUTF8(GetErrorString(error)) ?? "unknown";

    private static void Check(int code, string call, string name)
    {
        if (code != 0)
        {
            throw new CudaException($"{call}({name})", code, ErrorText(code));
        }
    }

    /// <summary>UTF-8 copies of strings that live as long as this object.</summary>
    private sealed class NativeTexts : IDisposable
    {
        private readonly List<nint> _blocks = [];

        internal byte** Array(IEnumerable<string> texts)
        {
            var pointers = texts.Select(Marshal.StringToCoTaskMemUTF8).ToArray();
            _blocks.AddRange(pointers);
            var array = (byte**)Marshal.AllocCoTaskMem((pointers.Length + 1) * sizeof(nint));
            _blocks.Add((nint)array);
            for (var i = 0; i < pointers.Length; i++)
            {
                array[i] = (byte*)pointers[i];
            }

            return array;
        }

        public void Dispose() => _blocks.ForEach(Marshal.FreeCoTaskMem);
    }
}
