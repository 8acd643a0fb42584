using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Tokenizers;

namespace Nibble.Tests.Data;

/// <summary>A folder of data files and the config around them.</summary>
internal sealed class DataRun : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("nibble-data").FullName;

    public static HfTokenizer Tokenizer { get; } = HfTokenizer.Load(Path.Combine(DataFiles.Goldens, "qwen"))
        .WithSpecialTokens(new Dictionary<string, string> { ["eos_token"] = "<|im_end|>" });

    public static DatasetOptions Dataset(string path, string? type = "completion") => new()
    {
        Path = path,
        Type = type,
        FileFormat = null,
        DataFiles = [],
        Split = null,
        Field = "text",
        FieldMessages = "messages",
        MessageProperties = new Dictionary<string, string> { ["role"] = "role", ["content"] = "content" },
        Roles = new Dictionary<string, IReadOnlyList<string>>(),
        RolesToTrain = ["assistant"],
        TrainOnEos = "turn",
        MessageFieldTraining = null,
        ChatTemplate = null,
        ConfigLine = 0,
    };

    public static DataOptions Data(params DatasetOptions[] train) => new()
    {
        Train = train,
        Test = [],
        ValidationSize = 0,
        ChatTemplate = null,
        ChatTemplateJinja = null,
        EotTokens = [],
        DefaultSystemMessage = null,
        TrainOnInputs = false,
        Shuffle = false,
        ExactDeduplication = false,
        SpecialTokens = new Dictionary<string, string>(),
    };

    public static RunConfig Config(
        DataOptions data, int length = 512, ExcessLength excess = ExcessLength.Drop, double lost = 0.05) => new()
        {
            BaseModel = new ModelSource("m"),
            Tokenizer = new ModelSource("m"),
            OutputDir = "o",
            Seed = 42,
            Quantization = new QuantizationOptions(WeightStorage.Nf4, true),
            Lora = null,
            Data = data,
            Sequence = new SequenceOptions(length, 2, excess, false, false, false, lost),
            Batch = new BatchOptions(1, 1, 1, 1, null, LossNormalization.Token),
            Optimizer = new OptimizerOptions(OptimizerKind.AdamW, 1e-4, 0, 0.9, 0.999, 1e-8, 1),
            Schedule = new ScheduleOptions(ScheduleKind.Cosine, null, null, null, null),
            Evaluation = new EvaluationOptions(default, "loss", null, false, false, 3, 50, 0.7),
            Save = new SaveOptions(default, 4, false, false, null, false),
            Logging = new LoggingOptions
            {
                Steps = null,
                Wandb = null,
                TensorBoard = false,
                LossWatchdogThreshold = null,
                LossWatchdogPatience = 3,
            },
            Engine = new EngineOptions("cpu", null, RecomputeMode.Never, null),
        };

    public string Write(string name, string text)
    {
        var path = Path.Combine(Folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    public string Write(string name, byte[] bytes)
    {
        var path = Path.Combine(Folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    public static TokenizedData Build(
        DataOptions data, int length = 512, ExcessLength excess = ExcessLength.Drop, double lost = 0.05) =>
        DatasetBuilder.Build(Config(data, length, excess, lost), Tokenizer);

    public static string Refusal(DataOptions data, int length = 512, ExcessLength excess = ExcessLength.Drop) =>
        Assert.Throws<DatasetException>(() => Build(data, length, excess)).Message;

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
