using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using Nibble.Models;
using Nibble.Models.Full;
using Nibble.Models.Quantization;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>How a merged model is written.</summary>
public sealed record AdapterMergeOptions
{
    /// <summary>Name of the base model, for card and report; null names its folder.</summary>
    public string? BaseName { get; init; }

    /// <summary>Whose tokenizer files are copied.</summary>
    public required string TokenizerFolder { get; init; }

    /// <summary>Version of Nibble, for manifest and model card.</summary>
    public required string NibbleVersion { get; init; }

    /// <summary>Why the gate refused the adapter, when it is merged all the same.</summary>
    public IReadOnlyList<string> Refusals { get; init; } = [];

    /// <summary>Replace a folder that is there.</summary>
    public bool Overwrite { get; init; }

    /// <summary>Threads; null takes all processors.</summary>
    public int? Threads { get; init; }

    /// <summary>Most bytes of a shard.</summary>
    public long ShardBytes { get; init; } = FullModelFiles.ShardBytes;

    /// <summary>Told the bytes of weights written, as they would be in F32.</summary>
    public IProgress<long>? Progress { get; init; }

    /// <summary>Bytes that a user may still write beneath a folder; null asks the file system.</summary>
    internal Func<string, long>? FreeBytes { get; init; }
}

/// <summary>
/// An adapter and the base it belongs to, ready to become one model: <c>W' = round(W + s · B A)</c> in the base's own
/// types, F32 or better before rounding (<see cref="LowRankSum"/>). Everything streams: a piece of 16 MiB of one tensor
/// and what rounding and reading take beside it is in memory, and the adapter; for a base that bitsandbytes quantised
/// also the codes of one matrix. Such a matrix is dequantised and written in the type of the base's embedding table.
/// Source: huggingface/peft <c>src/peft/tuners/lora/layer.py</c>, <c>merge</c>.
/// </summary>
public sealed class AdapterMerge : IDisposable
{
    private readonly SafetensorsIndex _base;
    private readonly Dictionary<string, LoraModule> _modules;
    private readonly double _scaling;
    private readonly LoraAdapterConfig _adapter;

    private AdapterMerge(
        string baseFolder, string adapterFolder, ModelConfig model, SafetensorsIndex weights, LoraAdapter adapter)
    {
        (BaseFolder, AdapterFolder, Model, _base) = (baseFolder, adapterFolder, model, weights);
        (_adapter, _scaling) = (adapter.Config, adapter.Config.Scaling);
        _modules = adapter.Modules(adapterFolder).ToDictionary(m => $"{m.Path}.weight", StringComparer.Ordinal);
    }

    /// <summary>The base model's folder.</summary>
    public string BaseFolder { get; }

    /// <summary>The adapter's folder.</summary>
    public string AdapterFolder { get; }

    /// <summary>Architecture.</summary>
    public ModelConfig Model { get; }

    /// <summary>Modules that the adapter changes.</summary>
    public int Modules => _modules.Count;

    /// <summary>The factor on B A.</summary>
    public double Scaling => _scaling;

    /// <summary>Type of the merged matrices, in the words of safetensors: <c>BF16</c>.</summary>
    public string StorageType => FullModelFiles.Declare(_base, Shapes().First(t => _modules.ContainsKey(t.Name)))
        .Type.Name();

    /// <summary>Bytes of weights that are written.</summary>
    public long Bytes => Shapes()
        .Sum(t => t.ByteCount / sizeof(float) * FullModelFiles.Declare(_base, t).Type.Bits() / 8);

    /// <summary>Reads the adapter and opens the base.</summary>
    /// <param name="baseFolder">Folder of the base model.</param>
    /// <param name="adapterFolder">Folder of the adapter.</param>
    /// <exception cref="CheckpointException">The adapter is damaged, unsupported, or does not fit the base: a module it
    /// lacks, or another shape.</exception>
    /// <exception cref="ModelFormatException">The base is no model of a supported family.</exception>
    public static AdapterMerge Open(string baseFolder, string adapterFolder)
    {
        var model = ModelConfig.Load(baseFolder);
        var adapter = AdapterReader.Read(adapterFolder);
        var weights = SafetensorsIndex.Open(baseFolder);
        try
        {
            var merge = new AdapterMerge(baseFolder, adapterFolder, model, weights, adapter);
            merge.RequireFit();
            return merge;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>Writes the merged model's folder: weights, configuration, tokenizer, model card, where the adapter
    /// comes from, a report without measurements, and the manifest of all but that. It appears complete or not at
    /// all.</summary>
    /// <param name="folder">Folder to make.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Throws between two pieces; nothing is left then.</param>
    /// <returns>The report.</returns>
    /// <exception cref="CheckpointException">There is such a folder already, the disk is too small, or a value cannot
    /// be held by the base's type.</exception>
    /// <exception cref="StorageException">A file cannot be written.</exception>
    public MergeReport Write(
        string folder, AdapterMergeOptions options, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        RequirePlace(folder, options);
        using var target = AtomicFolder.Create(folder);
        var parallel = new ParallelOptions
        {
            MaxDegreeOfParallelism = options.Threads ?? -1,
            CancellationToken = cancellation,
        };
        var done = 0L;
        var model = new FullModel(
            BaseFolder,
            [
                .. Shapes().Select(t => t with
                {
                    Read = Reader(t, parallel, bytes => options.Progress?.Report(done += bytes)),
                }),
            ]);
        var names = new List<string>(FullModelFiles.Write(target.Temporary, model, options.ShardBytes));
        AtomicFile.WriteAllText(Path.Combine(target.Temporary, AdapterFileNames.Card), Card(options));
        names.Add(AdapterFileNames.Card);
        var origin = new[] { RunState.FileName, TrainerState.FileName }.Select(n => Path.Combine(AdapterFolder, n));
        foreach (var source in TokenizerFiles.Find(options.TokenizerFolder).Concat(origin.Where(File.Exists)))
        {
            cancellation.ThrowIfCancellationRequested();
            AtomicFile.Copy(source, Path.Combine(target.Temporary, Path.GetFileName(source)));
            names.Add(Path.GetFileName(source));
        }

        var step = File.Exists(Path.Combine(AdapterFolder, RunState.FileName)) ? RunState.Read(AdapterFolder).Step : 0;
        CheckpointManifest.Write(target.Temporary, CheckpointKind.Final, step, options.NibbleVersion, names);
        var report = new MergeReport
        {
            Adapter = AdapterFolder,
            BaseModel = options.BaseName ?? BaseFolder,
            NibbleVersion = options.NibbleVersion,
            Modules = Modules,
            Scaling = _scaling,
            StorageType = StorageType,
            Refusals = options.Refusals,
        };
        report.Write(target.Temporary);
        cancellation.ThrowIfCancellationRequested();
        target.Commit();
        return report;
    }

    /// <summary>Closes the base.</summary>
    public void Dispose() => _base.Dispose();

    // Every tensor of the merged model, in the order of a model's own; a tied head once.
    private IEnumerable<StateTensor> Shapes()
    {
        var arena = Arena.Counting();
        return ModelWeights.Allocate(Model, FullParameters.Format(DType.F32), arena, arena).DenseTensors()
            .Select(t => new StateTensor(t.Name, DType.F32, t.View.Rows, t.View.Cols, (_, _) => { }));
    }

    private void RequireFit()
    {
        var linears = Shapes().ToDictionary(t => t.Name, StringComparer.Ordinal);
        var adaptable = Model.LayerLinears.Select(l => l.Path).ToArray();
        foreach (var (name, module) in _modules)
        {
            if (!linears.TryGetValue(name, out var weight)
                || !adaptable.Any(path => module.Path.EndsWith($".{path}", StringComparison.Ordinal)))
            {
                throw new CheckpointException(
                    AdapterFolder, $"modules of the base model in {BaseFolder} ({Model.Layers} layers)",
                    $"{module.Path}, which it does not have");
            }

            if (module.B.Rows != weight.Rows || module.A.Cols != weight.Cols)
            {
                throw new CheckpointException(
                    AdapterFolder, $"{module.Path} of shape [{weight.Rows}, {weight.Cols}], as in {BaseFolder}",
                    $"an adapter for [{module.B.Rows}, {module.A.Cols}]");
            }
        }

        foreach (var tensor in linears.Values)
        {
            _ = FullModelFiles.Declare(_base, tensor);
        }
    }

    private void RequirePlace(string folder, AdapterMergeOptions options)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        foreach (var (source, what) in new[] { (BaseFolder, "base model"), (AdapterFolder, "adapter") })
        {
            var other = Path.TrimEndingDirectorySeparator(Path.GetFullPath(source));
            if (full == other || other.StartsWith(full + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            {
                throw new CheckpointException(folder, $"another folder than that of the {what}", $"{source} in it");
            }
        }

        if (File.Exists(full) || (!options.Overwrite && Directory.Exists(full)
            && Directory.EnumerateFileSystemEntries(full).Any()))
        {
            throw new CheckpointException(
                folder, "no such folder yet, or leave to replace it (--overwrite)", "something of that name");
        }

        var parent = Path.GetDirectoryName(full) ?? full;
        var free = (options.FreeBytes ?? FreeBytes)(parent);

        // Configuration and tokenizer beside the weights.
        var needed = Bytes + (64L << 20);
        if (free < needed)
        {
            throw new CheckpointException(
                folder, $"{needed} bytes of free space for the merged model", $"{free} at {parent}");
        }
    }

    private static long FreeBytes(string folder)
    {
        var existing = folder;
        while (existing is not null && !Directory.Exists(existing))
        {
            existing = Path.GetDirectoryName(existing);
        }

        return existing is null ? long.MaxValue : new DriveInfo(existing).AvailableFreeSpace;
    }

    private TensorReader Reader(StateTensor tensor, ParallelOptions parallel, Action<long> read)
    {
        SavedMatrix? saved = null;
        LowRankSum? sum = null;
        return (offset, destination) =>
        {
            parallel.CancellationToken.ThrowIfCancellationRequested();
            var (first, count) = (offset / sizeof(float), destination.Length / sizeof(float));
            var values = MemoryMarshal.Cast<byte, float>(destination);
            if (Model.Quantization is { } quantization && SavedMatrix.IsSaved(_base, tensor.Name))
            {
                // Codes are kept from the first piece to the last, and no longer.
                saved ??= SavedMatrix.Read(_base, tensor.Name, quantization, tensor.Rows, tensor.Cols);
                saved.Read(first, values);
                saved = offset + destination.Length == tensor.ByteCount ? null : saved;
            }
            else
            {
                var (file, entry) = _base.Get(tensor.Name);
                file.ReadSingle(entry, first, values);
                FiniteScan.Require(destination, DType.F32, file.Path, tensor.Name, first);
            }

            if (_modules.TryGetValue(tensor.Name, out var module))
            {
                sum ??= new LowRankSum(
                    module, _scaling, LowRankSum.Limit(FullModelFiles.Declare(_base, tensor).Type), parallel);
                var merged = ArrayPool<float>.Shared.Rent(count);
                values.CopyTo(merged);
                sum.Add(merged.AsMemory(0, count), first);
                merged.AsSpan(0, count).CopyTo(values);
                ArrayPool<float>.Shared.Return(merged);
            }

            read(destination.Length);
        };
    }

    private string Card(AdapterMergeOptions options) => new ModelCard
    {
        NibbleVersion = options.NibbleVersion,
        Results =
        [
            ("adapter", string.Create(
                CultureInfo.InvariantCulture,
                $"rank {_adapter.Rank}, scaling {_scaling}, on {string.Join(", ", _adapter.TargetModules)}")),
            ("merged modules", Modules.ToString(CultureInfo.InvariantCulture)),
            ("type of the merged matrices", StorageType),
        ],
    }.ToMergedMarkdown(options.BaseName ?? _adapter.BaseModel ?? BaseFolder);
}
