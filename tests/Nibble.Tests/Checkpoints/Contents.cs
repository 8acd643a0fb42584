using Nibble.Checkpoints;
using Nibble.Tensors;

namespace Nibble.Tests.Checkpoints;

/// <summary>Small checkpoints for tests.</summary>
internal static class Contents
{
    private const string Module = "model.layers.0.self_attn.q_proj";

    public static LoraAdapter GoldenAdapter(string part = "final") =>
        AdapterReader.Read(Goldens.At("train-nf4-bf16-adamw", part));

    /// <summary>A complete checkpoint of a step; every value depends on the step.</summary>
    public static CheckpointContent At(int step, TemporaryFolder? tokenizer = null) => new()
    {
        Weights = new LoraAdapter(
            new LoraAdapterConfig
            {
                BaseModel = "tiny",
                Rank = 2,
                Alpha = 4,
                Dropout = 0.05,
                TargetModules = ["q_proj"],
            },
            [
                new(LoraAdapter.NameOfA(Module), 2, 3, new float[] { step, 2, 3, 4, 5, 6 }),
                new(LoraAdapter.NameOfB(Module), 4, 2, new float[] { step, 1, 1, 1, 1, 1, 1, 1 }),
            ]),
        State = new TrainerState
        {
            Epoch = step / 10.0,
            GlobalStep = step,
            LogHistory = [LogEntry.Train(step, step / 10.0, 1.23456, 0.5, 2e-4)],
            MaxSteps = 100,
            NumTrainEpochs = 10,
            TrainBatchSize = 1,
        },
        Optimizer =
        [
            new("moment1", DType.F32, 1, 2, new byte[] { 1, 2, 3, 4, 5, 6, 7, (byte)step }),
            new("codes1", DType.U8, 1, 3, new byte[] { 7, 8, (byte)step }),
        ],
        Run = new RunState
        {
            Seed = 42,
            Step = step,
            Epoch = step / 10.0,
            NextStep = step,
            TotalLoss = step * 1.5,
            ConfigHash = "c",
            DatasetHash = "d",
            BaseModelFingerprint = "fp1:0",
            NibbleVersion = "0.1.0",
            RandomNumbers = "philox4x32-10",
            Provenance = new Dictionary<string, string> { ["device"] = "cpu" },
        },
        TokenizerFiles = tokenizer is null ? [] : TokenizerFiles.Find(tokenizer.Path),
        Card = new ModelCard { NibbleVersion = "0.1.0" },
    };
}
