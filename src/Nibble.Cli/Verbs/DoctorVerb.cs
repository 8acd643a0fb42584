using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Hosting;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble doctor</c>.</summary>
internal sealed class DoctorVerb : Verb
{
    private readonly Option<bool> _tried = new("--tried")
    {
        Description = "Also list every path that was tried for a library.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<bool> _json = JsonOption();

    public DoctorVerb()
        : base("doctor", "Say what was found on this machine and which device would be used.")
    {
        Add(_tried);
        Add(_json);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var found = Diagnostics.Collect();
        var tried = arguments.GetValue(_tried);
        if (arguments.GetValue(_json))
        {
            ShowJson(session.Terminal, found);
        }
        else
        {
            Show(session.Terminal, found, tried);
        }

        return ExitCode.Ok;
    }

    private static void Show(Terminal terminal, Diagnostics found, bool tried)
    {
        new Sheet($"Nibble {found.Version}")
            .Add("system", found.OperatingSystem)
            .Add("runtime", found.Runtime)
            .Add("processor", found.Processor)
            .Add("memory", Words.Bytes(found.MemoryBytes))
            .Show(terminal);
        var sheet = new Sheet("GPU");
        foreach (var gpu in found.Gpus)
        {
            sheet.Add(gpu.Name, $"compute capability {gpu.Capability}, {gpu.Multiprocessors} multiprocessors, "
                + Words.Bytes(gpu.TotalBytes) + (gpu.IsSupported ? "" : "; not supported: 8.0 or later is needed"));
        }

        foreach (var library in found.Libraries)
        {
            sheet.Add(
                library.Name,
                library.Path is null ? "not found" : $"{library.Version ?? "unknown version"}, {library.Path}");
        }

        foreach (var missing in found.Missing)
        {
            sheet.Add("missing", missing);
        }

        sheet.Add("kernel cache", found.CacheFolder)
            .Add("device: auto", found.UsesGpu ? "takes the GPU" : "takes the processor")
            .Show(terminal);
        foreach (var path in tried ? found.Tried : [])
        {
            terminal.Line($"tried {path}");
        }
    }

    private static void ShowJson(Terminal terminal, Diagnostics found) => Json.Show(terminal, json =>
    {
        json.WriteString("version", found.Version);
        json.WriteString("operating_system", found.OperatingSystem);
        json.WriteString("runtime", found.Runtime);
        json.WriteString("processor", found.Processor);
        json.WriteNumber("memory_bytes", found.MemoryBytes);
        json.WriteBoolean("uses_gpu", found.UsesGpu);
        json.List("gpus", found.Gpus, gpu => json.Item(() =>
        {
            json.WriteString("name", gpu.Name);
            json.WriteString("compute_capability", gpu.Capability);
            json.WriteNumber("multiprocessors", gpu.Multiprocessors);
            json.WriteNumber("memory_bytes", gpu.TotalBytes);
            json.WriteBoolean("supported", gpu.IsSupported);
        }));
        json.List("libraries", found.Libraries, library => json.Item(() =>
        {
            json.WriteString("name", library.Name);
            json.WriteString("path", library.Path);
            json.WriteString("version", library.Version);
        }));
        json.List("missing", found.Missing, json.WriteStringValue);
        json.List("tried", found.Tried, json.WriteStringValue);
        json.WriteString("cache_folder", found.CacheFolder);
    });
}
