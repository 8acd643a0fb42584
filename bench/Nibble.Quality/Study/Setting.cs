using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Nibble.Tensors;

namespace Nibble.Quality.Study;

/// <summary>What all runs share, and how a run's YAML is written from it.</summary>
/// <param name="Model">Base model folder.</param>
/// <param name="Train">Training rows.</param>
/// <param name="Validation">Rows that no run trains on and no rate is chosen by.</param>
/// <param name="Output">Folder of the study.</param>
/// <param name="Device">As <c>nibble.device</c>.</param>
/// <param name="Epochs">Passes over the training rows.</param>
internal sealed record Setting(string Model, string Train, string Validation, string Output, string Device, int Epochs)
{
    /// <summary>Every how many rows one is held back while rates are tried.</summary>
    public const int HeldBackEvery = 7;

    /// <summary>Rows of an optimizer step, as <see cref="SharedYaml"/> says.</summary>
    public const int RowsPerStep = 16;

    private const string SweepTrain = "sweep-train.jsonl";
    private const string SweepHeldBack = "sweep-held-back.jsonl";

    /// <summary>The keys that every run has.</summary>
    public const string SharedYaml = """
        sequence_len: 256
        micro_batch_size: 8
        gradient_accumulation_steps: 2
        optimizer: adamw_8bit
        lr_scheduler: cosine
        warmup_ratio: 0.05
        weight_decay: 0.01
        max_grad_norm: 1.0
        logging_steps: 10
        eval_steps: 0.125
        save_strategy: no

        """;

    private string? _fingerprint;

    /// <summary>Writes the two parts that the training rows are cut into while rates are tried.</summary>
    public void Prepare()
    {
        Directory.CreateDirectory(Output);
        var rows = File.ReadAllLines(Train).Where(line => line.Length > 0).ToList();
        Write(SweepTrain, rows.Where((_, i) => i % HeldBackEvery != HeldBackEvery - 1));
        Write(SweepHeldBack, rows.Where((_, i) => i % HeldBackEvery == HeldBackEvery - 1));
    }

    /// <summary>
    /// Changes with base, rows, epochs and shared keys: a result with another one belongs to
    /// another study. The device does not count.
    /// </summary>
    public string Fingerprint => _fingerprint ??= Convert.ToHexStringLower(SHA256.HashData(
        Encoding.UTF8.GetBytes(
            $"{Hash(Path.Combine(Model, "model.safetensors"))} {Hash(Train)} {Hash(Validation)} "
            + $"{Epochs}\n{SharedYaml}")))[..16];

    /// <summary>Folder of a run.</summary>
    /// <param name="spec">Run.</param>
    public string Folder(RunSpec spec) => Path.Combine(Output, spec.Id);

    /// <summary>A run's YAML, to be used with <c>nibble train</c> as well.</summary>
    /// <param name="spec">Run.</param>
    public string Yaml(RunSpec spec)
    {
        var method = Method.Of(spec.Method);
        var sweep = spec.Part == Part.Sweep;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            base_model: {Quoted(Model)}
            {method.Yaml}datasets:
              - path: {Quoted(sweep ? Path.Combine(Output, SweepTrain) : Train)}
                type: chat_template
            test_datasets:
              - path: {Quoted(sweep ? Path.Combine(Output, SweepHeldBack) : Validation)}
                type: chat_template
            {SharedYaml}num_epochs: {Epochs}
            learning_rate: {(spec.Part == Part.Base ? method.Rates[0] : spec.Rate)}
            seed: {spec.Seed}
            output_dir: {Quoted(Folder(spec))}
            nibble:
              device: {Device}

            """);
        if (method.HasRank)
        {
            // A base that is evaluated alone has the method's format and no adapter, whatever its rank would be.
            var rank = Math.Max(spec.Rank, 1);
            text.Append(CultureInfo.InvariantCulture, $"lora_r: {rank}\nlora_alpha: {2 * rank}\nlora_dropout: 0.05\n");
            text.Append(spec.Targets == RunSpec.AttentionOnly
                ? "lora_target_modules: [q_proj, k_proj, v_proj, o_proj]\n"
                : "lora_target_linear: true\n");
        }

        return text.ToString();
    }

    private static string Quoted(string path) =>
        $"'{Path.GetFullPath(path).Replace("'", "''", StringComparison.Ordinal)}'";

    private static string Hash(string file) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));

    // Processes side by side find the file as it should be and leave it alone.
    private void Write(string name, IEnumerable<string> rows)
    {
        var (path, text) = (Path.Combine(Output, name), string.Concat(rows.Select(row => row + "\n")));
        if (!File.Exists(path) || File.ReadAllText(path) != text)
        {
            AtomicFile.WriteAllText(path, text);
        }
    }
}
