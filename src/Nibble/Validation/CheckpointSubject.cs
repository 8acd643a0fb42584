using Nibble.Checkpoints;
using Nibble.Models;
using Nibble.Tensors;

namespace Nibble.Validation;

/// <summary>What the values of one tensor look like.</summary>
/// <param name="Name">Tensor name.</param>
/// <param name="NotANumber">How many values are NaN.</param>
/// <param name="Infinite">How many values are infinite.</param>
/// <param name="FirstBad">Index of the first of those, or -1.</param>
/// <param name="LargestMagnitude">Largest finite magnitude.</param>
public sealed record TensorFacts(string Name, long NotANumber, long Infinite, long FirstBad, float LargestMagnitude);

/// <summary>A finished checkpoint under examination. Files are opened and read once, when a check first asks.</summary>
public sealed class CheckpointSubject : IDisposable
{
    private const int Chunk = 1 << 16;

    private readonly Lazy<SafetensorsFile> _weights;
    private readonly Lazy<SafetensorsIndex> _model;
    private readonly Lazy<IReadOnlyDictionary<string, SafetensorsEntry>> _tensors;
    private readonly Lazy<LoraAdapterConfig> _config;
    private readonly Lazy<IReadOnlyList<TensorFacts>> _facts;
    private readonly Lazy<ModelConfig> _baseConfig;

    /// <summary>Names what is examined; nothing is read yet.</summary>
    /// <param name="folder">Checkpoint folder, or an output folder with the final result.</param>
    /// <param name="baseModelFolder">Folder of the base model, or null when it is not at hand.</param>
    /// <param name="tokenizerFolder">Folder of the tokenizer trained with; null for the base model's.</param>
    public CheckpointSubject(string folder, string? baseModelFolder, string? tokenizerFolder = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        (Folder, BaseModelFolder, TokenizerFolder) = (folder, baseModelFolder, tokenizerFolder ?? baseModelFolder);
        _weights = new(() => SafetensorsFile.Open(Path.Combine(folder, AdapterFileNames.Weights)));
        _model = new(() => SafetensorsIndex.Open(folder));
        _tensors = new(() => IsModel
            ? _model.Value.Names.ToDictionary(n => n, n => _model.Value.Get(n).Entry, StringComparer.Ordinal)
            : Weights.Tensors);
        _config = new(() => AdapterConfigJson.Read(
            Path.Combine(folder, AdapterFileNames.Config), Weights.Tensors.Keys));
        _facts = new(() => [.. Tensors.Values.OrderBy(e => e.Name, StringComparer.Ordinal).Select(Examine)]);
        _baseConfig = new(() => ModelConfig.Load(
            BaseModelFolder ?? throw new InvalidOperationException("no base model folder was given")));
    }

    /// <summary>Checkpoint folder.</summary>
    public string Folder { get; }

    /// <summary>Folder of the base model, or null when it is not at hand.</summary>
    public string? BaseModelFolder { get; }

    /// <summary>Folder of the tokenizer trained with, or null when it is not at hand.</summary>
    public string? TokenizerFolder { get; }

    /// <summary>Whether the folder holds a whole model and not an adapter.</summary>
    public bool IsModel => File.Exists(Path.Combine(Folder, FullModelFiles.Config))
        && !File.Exists(Path.Combine(Folder, AdapterFileNames.Config));

    /// <summary>Whether the model is one that an adapter was merged into.</summary>
    public bool IsMerged => IsModel && MergeReport.IsIn(Folder);

    /// <summary>Every tensor of the adapter or the model, by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors => _tensors.Value;

    /// <summary>Names of the files that hold a whole model's weights, the index of shards among them.</summary>
    public IReadOnlyList<string> ModelFiles =>
    [
        .. _model.Value.Files.Select(f => Path.GetFileName(f.Path)),
        .. _model.Value.Files is [{ } only] && Path.GetFileName(only.Path) == FullModelFiles.Weights
            ? (string[])[]
            : [FullModelFiles.Index],
    ];

    /// <summary>The adapter's weights.</summary>
    /// <exception cref="SafetensorsException">The file is damaged.</exception>
    /// <exception cref="IOException">The file is absent.</exception>
    public SafetensorsFile Weights => _weights.Value;

    /// <summary>The adapter's config.</summary>
    /// <exception cref="CheckpointException">It is absent, malformed or of an unsupported kind.</exception>
    public LoraAdapterConfig Config => _config.Value;

    /// <summary>What the values of every tensor look like, by name.</summary>
    public IReadOnlyList<TensorFacts> Facts => _facts.Value;

    /// <summary>Architecture of the base model.</summary>
    internal ModelConfig BaseConfig => _baseConfig.Value;

    /// <summary>Closes what was opened.</summary>
    public void Dispose()
    {
        if (_weights.IsValueCreated)
        {
            _weights.Value.Dispose();
        }

        if (_model.IsValueCreated)
        {
            _model.Value.Dispose();
        }
    }

    /// <summary>Reads raw bytes of one of <see cref="Tensors"/>.</summary>
    /// <param name="entry">Which.</param>
    /// <param name="offset">First byte within the tensor.</param>
    /// <param name="destination">Filled completely.</param>
    internal void Read(SafetensorsEntry entry, long offset, Span<byte> destination) =>
        FileOf(entry).Read(entry, offset, destination);

    private SafetensorsFile FileOf(SafetensorsEntry entry) => IsModel ? _model.Value.Get(entry.Name).File : Weights;

    private TensorFacts Examine(SafetensorsEntry entry)
    {
        var buffer = new float[(int)Math.Min(Chunk, entry.Count)];
        var (nan, infinite, firstBad, largest) = (0L, 0L, -1L, 0f);
        for (var first = 0L; first < entry.Count; first += Chunk)
        {
            var values = buffer.AsSpan(0, (int)Math.Min(Chunk, entry.Count - first));
            FileOf(entry).ReadSingle(entry, first, values);
            for (var i = 0; i < values.Length; i++)
            {
                if (float.IsFinite(values[i]))
                {
                    largest = Math.Max(largest, Math.Abs(values[i]));
                    continue;
                }

                nan += float.IsNaN(values[i]) ? 1 : 0;
                infinite += float.IsNaN(values[i]) ? 0 : 1;
                firstBad = firstBad < 0 ? first + i : firstBad;
            }
        }

        return new TensorFacts(entry.Name, nan, infinite, firstBad, largest);
    }
}
