namespace Nibble.Checkpoints;

/// <summary>What <c>adapter_config.json</c> says about a LoRA adapter.</summary>
public sealed record LoraAdapterConfig
{
    /// <summary>Name or folder of the base model, as the training config gave it; null when unknown.</summary>
    public required string? BaseModel { get; init; }

    /// <summary>Revision of the base model, or null.</summary>
    public string? Revision { get; init; }

    /// <summary>Rank r of every module.</summary>
    public required int Rank { get; init; }

    /// <summary>Numerator of the scaling.</summary>
    public required double Alpha { get; init; }

    /// <summary>Dropout used in training, in [0, 1).</summary>
    public required double Dropout { get; init; }

    /// <summary>Last path components of the adapted modules, e.g. <c>q_proj</c>.</summary>
    public required IReadOnlyList<string> TargetModules { get; init; }

    /// <summary>Scale by alpha / sqrt(rank) instead of alpha / rank.</summary>
    public bool RankStabilized { get; init; }

    /// <summary>Layers that are adapted, or null for all.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>The factor on B A x.</summary>
    public double Scaling => RankStabilized ? Alpha / Math.Sqrt(Rank) : Alpha / Rank;
}

/// <summary>One matrix of an adapter.</summary>
/// <param name="Name">Name in the file, e.g.
/// <c>base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight</c>.</param>
/// <param name="Rows">Rows: r for A, output features for B.</param>
/// <param name="Cols">Columns: input features for A, r for B.</param>
/// <param name="Data">Rows × Cols values, row-major.</param>
public sealed record LoraTensor(string Name, int Rows, int Cols, ReadOnlyMemory<float> Data);

/// <summary>The two matrices of one adapted module.</summary>
/// <param name="Path">Path of the module in the base model, e.g. <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="A">F32 [r, in].</param>
/// <param name="B">F32 [out, r].</param>
public sealed record LoraModule(string Path, LoraTensor A, LoraTensor B);

/// <summary>A LoRA adapter in host memory: its config and its matrices.</summary>
/// <param name="Config">What <c>adapter_config.json</c> says.</param>
/// <param name="Tensors">Every matrix, in any order.</param>
public sealed record LoraAdapter(LoraAdapterConfig Config, IReadOnlyList<LoraTensor> Tensors) : TrainedWeights
{
    /// <summary>What every tensor name starts with.</summary>
    public const string NamePrefix = "base_model.model.";

    /// <summary>How the name of an A matrix ends.</summary>
    public const string SuffixA = ".lora_A.weight";

    /// <summary>How the name of a B matrix ends.</summary>
    public const string SuffixB = ".lora_B.weight";

    /// <summary>The name under which the A matrix of a module is saved.</summary>
    /// <param name="module">Path of the module in the base model.</param>
    public static string NameOfA(string module) => NamePrefix + module + SuffixA;

    /// <summary>The name under which the B matrix of a module is saved.</summary>
    /// <param name="module">Path of the module in the base model.</param>
    public static string NameOfB(string module) => NamePrefix + module + SuffixB;

    /// <summary>Splits the name of a matrix.</summary>
    /// <param name="name">Name in the file.</param>
    /// <returns>The path of the module and whether it is A, or null when the name is no LoRA matrix.</returns>
    public static (string Module, bool IsA)? ParseName(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!name.StartsWith(NamePrefix, StringComparison.Ordinal))
        {
            return null;
        }

        foreach (var (suffix, isA) in new[] { (SuffixA, true), (SuffixB, false) })
        {
            if (name.EndsWith(suffix, StringComparison.Ordinal) && name.Length > NamePrefix.Length + suffix.Length)
            {
                return (name[NamePrefix.Length..^suffix.Length], isA);
            }
        }

        return null;
    }

    /// <summary>Pairs A with B and checks that names, shapes, rank and targets agree.</summary>
    /// <param name="file">File or folder, for messages.</param>
    /// <returns>Modules by path, in ordinal order.</returns>
    /// <exception cref="CheckpointException">The tensors do not form the adapter that the config describes.</exception>
    public IReadOnlyList<LoraModule> Modules(string file)
    {
        var halves = new SortedDictionary<string, (LoraTensor? A, LoraTensor? B)>(StringComparer.Ordinal);
        foreach (var tensor in Tensors)
        {
            var (module, isA) = ParseName(tensor.Name)
                ?? throw new CheckpointException(
                    file, $"tensors named {NamePrefix}<module>{SuffixA} or {SuffixB}", $"'{tensor.Name}'");
            CheckTensor(file, tensor, isA);
            halves.TryGetValue(module, out var pair);
            if ((isA ? pair.A : pair.B) is not null)
            {
                throw new CheckpointException(file, "each tensor once", $"'{tensor.Name}' again");
            }

            halves[module] = isA ? (tensor, pair.B) : (pair.A, tensor);
        }

        var modules = new List<LoraModule>(halves.Count);
        foreach (var (module, (a, b)) in halves)
        {
            if (a is null || b is null)
            {
                throw new CheckpointException(
                    file, $"'{(a is null ? NameOfA(module) : NameOfB(module))}'", $"only the other matrix of {module}");
            }

            modules.Add(new LoraModule(module, a, b));
        }

        CheckTargets(file, modules);
        return modules;
    }

    /// <summary>Whether an entry of <c>target_modules</c> names a module.</summary>
    /// <param name="module">Path of the module in the base model.</param>
    /// <param name="target">A path, or its last components.</param>
    public static bool Matches(string module, string target)
    {
        ArgumentNullException.ThrowIfNull(module);
        return module == target || module.EndsWith("." + target, StringComparison.Ordinal);
    }

    private void CheckTensor(string file, LoraTensor tensor, bool isA)
    {
        if ((isA ? tensor.Rows : tensor.Cols) != Config.Rank)
        {
            var shape = isA ? $"[{Config.Rank}, in]" : $"[out, {Config.Rank}]";
            throw new CheckpointException(
                file,
                $"'{tensor.Name}' of shape {shape} for rank {Config.Rank}",
                $"[{tensor.Rows}, {tensor.Cols}]");
        }

        if (tensor.Data.Length != (long)tensor.Rows * tensor.Cols)
        {
            throw new CheckpointException(
                file, $"{(long)tensor.Rows * tensor.Cols} values in '{tensor.Name}'", $"{tensor.Data.Length}");
        }
    }

    private void CheckTargets(string file, List<LoraModule> modules)
    {
        if (modules.Count == 0)
        {
            throw new CheckpointException(file, "at least one adapted module", "none");
        }

        foreach (var module in modules)
        {
            if (!Config.TargetModules.Any(t => Matches(module.Path, t)))
            {
                throw new CheckpointException(
                    file, $"modules of target_modules [{string.Join(", ", Config.TargetModules)}]", module.Path);
            }
        }

        foreach (var target in Config.TargetModules)
        {
            if (!modules.Exists(m => Matches(m.Path, target)))
            {
                throw new CheckpointException(file, $"tensors for target module '{target}'", "none");
            }
        }
    }
}
