using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>The files of one checkpoint.</summary>
internal static class CheckpointFolder
{
    private static readonly string[] _always = [AdapterFileNames.Card, TrainerState.FileName, RunState.FileName];

    internal static void Write(string folder, CheckpointContent content, CheckpointKind kind)
    {
        if (content.Run.Step != content.State.GlobalStep)
        {
            throw new CheckpointException(
                folder, "one step in both states", $"{content.Run.Step} and {content.State.GlobalStep}");
        }

        List<string> names = [.. _always, .. WriteWeights(folder, content)];
        content.State.Write(folder);
        content.Run.Write(folder);
        if (content.Optimizer is { } optimizer)
        {
            WriteOptimizer(Path.Combine(folder, CheckpointStore.OptimizerFileName), optimizer);
            names.Add(CheckpointStore.OptimizerFileName);
        }

        foreach (var source in content.TokenizerFiles)
        {
            var name = Path.GetFileName(source);
            if (names.Contains(name) || name == CheckpointManifest.FileName)
            {
                throw new CheckpointException(folder, "tokenizer files of unique names", source);
            }

            if (!File.Exists(source))
            {
                throw new CheckpointException(source, "a tokenizer file to copy", "none");
            }

            var target = Path.Combine(folder, name);
            if (Path.GetFullPath(source) != Path.GetFullPath(target))
            {
                AtomicFile.Copy(source, target);
            }

            names.Add(name);
        }

        CheckpointManifest.Write(folder, kind, content.Run.Step, content.Run.NibbleVersion, names);
    }

    internal static CheckpointContent Read(string folder)
    {
        var manifest = Verify(folder);
        var content = new CheckpointContent
        {
            Weights = IsAdapter(manifest) ? AdapterReader.Read(folder) : new FullModel(folder, []),
            State = TrainerState.Read(folder),
            Optimizer = manifest.Kind == CheckpointKind.Full
                ? ReadOptimizer(Path.Combine(folder, CheckpointStore.OptimizerFileName))
                : null,
            Run = RunState.Read(folder),
            TokenizerFiles =
            [
                .. TokenizerFiles.Find(folder).Where(p => manifest.Files.ContainsKey(Path.GetFileName(p))),
            ],
            Card = new ModelCard { NibbleVersion = manifest.NibbleVersion },
        };
        if (content.Run.Step != manifest.GlobalStep || content.State.GlobalStep != manifest.GlobalStep)
        {
            throw new CheckpointException(
                folder,
                $"step {manifest.GlobalStep} in every file, as the manifest says",
                $"{content.Run.Step} in {RunState.FileName}, {content.State.GlobalStep} in {TrainerState.FileName}");
        }

        return content;
    }

    /// <summary>Why a run must not resume from a folder, or null when it may.</summary>
    internal static string? WhyNotResumable(string folder)
    {
        try
        {
            var manifest = Verify(folder);
            return manifest.Kind == CheckpointKind.Full
                ? null
                : $"it holds no optimizer state (kind {manifest.Kind}), so training cannot continue from it";
        }
        catch (Exception e) when (e is CheckpointException || StorageException.Concerns(e))
        {
            return e.Message;
        }
    }

    /// <summary>Reads the manifest and checks that every file is there, unaltered.</summary>
    internal static CheckpointManifest Verify(string folder)
    {
        var manifest = CheckpointManifest.Read(folder);
        IEnumerable<string> required =
        [
            .. _always,
            .. IsAdapter(manifest)
                ? (string[])[AdapterFileNames.Config, AdapterFileNames.Weights]
                : [
                    FullModelFiles.Config,
                    manifest.Files.ContainsKey(FullModelFiles.Index) ? FullModelFiles.Index : FullModelFiles.Weights],
            .. manifest.Kind == CheckpointKind.Full ? (string[])[CheckpointStore.OptimizerFileName] : [],
        ];
        foreach (var name in required)
        {
            if (!manifest.Files.ContainsKey(name))
            {
                throw new CheckpointException(
                    Path.Combine(folder, CheckpointManifest.FileName), $"an entry for {name}", "none");
            }
        }

        if (manifest.Mismatches(folder) is [var (file, expected, found), ..])
        {
            throw new CheckpointException(Path.Combine(folder, file), $"{expected}, as the manifest says", found);
        }

        return manifest;
    }

    // A folder without a whole model is taken for an adapter's, whose missing files are then named.
    private static bool IsAdapter(CheckpointManifest manifest) => !manifest.Files.ContainsKey(FullModelFiles.Config);

    private static IReadOnlyList<string> WriteWeights(string folder, CheckpointContent content)
    {
        switch (content.Weights)
        {
            case LoraAdapter adapter:
                AdapterWriter.Write(folder, adapter, content.Card);
                return [AdapterFileNames.Config, AdapterFileNames.Weights];
            case FullModel model:
                AtomicFile.WriteAllText(Path.Combine(folder, AdapterFileNames.Card), content.Card.ToMarkdown(model));
                return FullModelFiles.Write(folder, model);
            default:
                throw new CheckpointException(folder, "an adapter or a whole model", $"{content.Weights}");
        }
    }

    private static void WriteOptimizer(string path, IReadOnlyList<StateTensor> tensors)
    {
        using var writer = SafetensorsWriter.Create(
            path,
            tensors.Select(t => new SafetensorsDeclaration(t.Name, t.DType.ToSafetensors(), [t.Rows, t.Cols])),
            [new("format", "nibble-optimizer-1")]);
        foreach (var tensor in tensors)
        {
            tensor.ForEachPiece((_, piece) => writer.Append(tensor.Name, piece.Span));
        }

        writer.Commit();
    }

    private static List<StateTensor> ReadOptimizer(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var tensors = new List<StateTensor>(file.Tensors.Count);
        foreach (var entry in file.Tensors.Values.OrderBy(e => e.Name, StringComparer.Ordinal))
        {
            if (entry.DType is not { } type || entry.Shape is not [var rows, var cols]
                || rows > int.MaxValue || cols > int.MaxValue)
            {
                throw new CheckpointException(
                    path, "matrices of F32, U8 or another type of Nibble's", entry.ToString());
            }

            // The file is opened for every piece: a tensor outlives this method, and pieces are few.
            tensors.Add(new StateTensor(entry.Name, type, (int)rows, (int)cols, (offset, destination) =>
            {
                using var again = SafetensorsFile.Open(path);
                again.Read(again.Get(entry.Name), offset, destination);
            }));
        }

        return tensors;
    }
}
