using System.Text.Json;
using Nibble.Checkpoints;

namespace Nibble.Tests.Checkpoints;

public sealed class StateTests : IDisposable
{
    // The example of the format, with Python's own text: json.dumps(..., indent=2, sort_keys=True) + "\n".
    private const string Example = """
        {
          "best_global_step": 500,
          "best_metric": 1.2345,
          "best_model_checkpoint": "out/checkpoint-500",
          "epoch": 0.8,
          "eval_steps": 100,
          "global_step": 500,
          "is_hyper_param_search": false,
          "is_local_process_zero": true,
          "is_world_process_zero": true,
          "log_history": [
            {
              "epoch": 0.016,
              "grad_norm": 0.51,
              "learning_rate": 0.00018,
              "loss": 1.9321,
              "step": 10
            },
            {
              "epoch": 0.16,
              "eval_loss": 1.41,
              "eval_runtime": 12.3456,
              "eval_samples_per_second": 8.1,
              "eval_steps_per_second": 4.05,
              "step": 100
            }
          ],
          "logging_steps": 10,
          "max_steps": 625,
          "num_input_tokens_seen": 0,
          "num_train_epochs": 1,
          "save_steps": 500,
          "stateful_callbacks": {
            "TrainerControl": {
              "args": {
                "should_epoch_stop": false,
                "should_evaluate": false,
                "should_log": false,
                "should_save": true,
                "should_training_stop": false
              },
              "attributes": {}
            }
          },
          "total_flos": 1.2e+16,
          "train_batch_size": 2,
          "trial_name": null,
          "trial_params": null
        }

        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void TrainerState_ReadThenWritten_IsTheSameText()
    {
        var text = Example.ReplaceLineEndings("\n");
        File.WriteAllText(_folder[TrainerState.FileName], text);
        var state = TrainerState.Read(_folder.Path);
        Assert.Equal((500, 500, 625), (state.GlobalStep, state.BestGlobalStep!.Value, state.MaxSteps));
        Assert.Equal(1.41, state.LogHistory[1].Values["eval_loss"]);
        Assert.Equal(text, state.ToJson());
    }

    [Fact]
    public void TrainerState_EarlyStoppingAndNaN_SurviveAndStayValidJson()
    {
        var state = Contents.At(3).State with
        {
            EarlyStopping = new EarlyStoppingState(3, 0.001, 2),
            ShouldTrainingStop = true,
            LogHistory = [new LogEntry(3, null, new Dictionary<string, double> { ["loss"] = double.NaN })],
        };
        state.Write(_folder.Path);
        using (JsonDocument.Parse(File.ReadAllText(_folder[TrainerState.FileName])))
        {
        }

        var back = TrainerState.Read(_folder.Path);
        Assert.Equal(state.EarlyStopping, back.EarlyStopping);
        Assert.True(back.ShouldTrainingStop);
        Assert.True(double.IsNaN(back.LogHistory[0].Values["loss"]));
        Assert.Null(back.LogHistory[0].Epoch);
        Assert.Equal(state.ToJson(), back.ToJson());
    }

    [Fact]
    public void TrainerState_Malformed_NamesTheKey()
    {
        File.WriteAllText(_folder[TrainerState.FileName], "{\"global_step\": 1.5}");
        var e = Assert.Throws<CheckpointException>(() => TrainerState.Read(_folder.Path));
        Assert.Contains("global_step", e.Message, StringComparison.Ordinal);
        File.WriteAllText(_folder[TrainerState.FileName], "{}");
        Assert.Throws<CheckpointException>(() => TrainerState.Read(_folder.Path));
    }

    [Fact]
    public void LogEntry_Numbers_AreRoundedAsTheTrainerDoes()
    {
        var train = LogEntry.Train(1, 0.1, 2.00006, 0.123456789, 1e-5).Values;

        Assert.Equal(2.0001, train["loss"]);

        // The double nearest to 2.67495 lies below it: Python's round(2.67495, 4) is 2.6749.
        Assert.Equal(2.6749, LogEntry.Train(1, 0.1, 2.67495, 1, 1).Values["loss"]);
        Assert.Equal(0.123456789, train["grad_norm"]);
        var eval = LogEntry.Evaluation(1, 0.1, 1.41234567, 3.0, 10, 5).Values;
        Assert.Equal(1.41234567, eval["eval_loss"]);
        Assert.Equal(3.333, eval["eval_samples_per_second"]);
        Assert.Equal(1.667, eval["eval_steps_per_second"]);
        Assert.Equal(2.5, LogEntry.Final(4, 1, 1, 2, 5, 4, 0).Values["train_samples_per_second"]);
    }

    [Fact]
    public void PythonJson_Numbers_AreWhatPythonPrints()
    {
        // Printed by Python 3 with repr().
        (double Value, string Text)[] cases =
        [
            (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"),
            (1e+16, "1e+16"), (9999999999999998.0, "9999999999999998.0"), (1000000000000000.0, "1000000000000000.0"),
            (123456.789, "123456.789"), (0.0001, "0.0001"), (0.00012345, "0.00012345"),
            (1e-05, "1e-05"), (1.5e-07, "1.5e-07"), (1e+23, "1e+23"),
            (1.2e+16, "1.2e+16"), (0.0002, "0.0002"), (-3.25, "-3.25"),
            (1e+22, "1e+22"), (5e-324, "5e-324"), (1.7976931348623157e+308, "1.7976931348623157e+308"),
            (0.1, "0.1"), (100.0, "100.0"), (1234567890123456.8, "1234567890123456.8"),
            (9.5e-05, "9.5e-05"), (1.2345678901234568e+16, "1.2345678901234568e+16"),
            (9007199254740992.0, "9007199254740992.0"),
        ];
        foreach (var (value, text) in cases)
        {
            Assert.Equal(text, PythonJson.Number(value));
            Assert.Equal(value, double.Parse(text, System.Globalization.CultureInfo.InvariantCulture));
        }

        Assert.Equal("null", PythonJson.Number(double.PositiveInfinity));
    }

    [Fact]
    public void PythonJson_Strings_AreAsciiWithPythonsEscapes() =>
        Assert.Equal("[\n  \"\\u00e9\\\"\\\\\\n\\u007f\\ud83d\\ude00<\",\n  {}\n]", PythonJson.Write(
            new object?[] { "é\"\\\n\u007f😀<", new Dictionary<string, object?>() }));

    [Fact]
    public void RunState_WrittenThenRead_IsEqual()
    {
        var run = Contents.At(7).Run with { LossSinceLog = 0.1 + 0.2, StepsSinceLog = 3, TokensSeen = 1L << 40 };
        run.Write(_folder.Path);
        var back = RunState.Read(_folder.Path);
        Assert.Equal(run.Provenance, back.Provenance);
        Assert.Equal(run, back with { Provenance = run.Provenance });
        Assert.Empty(back.DifferencesFrom(run));
        Assert.Equal(
            ["seed: the checkpoint has 42, this run has 43", "data hash: the checkpoint has d, this run has e"],
            (run with { Seed = 43, DatasetHash = "e" }).DifferencesFrom(back));
    }

    [Fact]
    public void RunState_OfAnotherVersion_IsRefused()
    {
        Contents.At(7).Run.Write(_folder.Path);
        var path = _folder[RunState.FileName];
        File.WriteAllText(
            path,
            File.ReadAllText(path).Replace("\"format_version\": 1", "\"format_version\": 2", StringComparison.Ordinal));
        Assert.Throws<CheckpointException>(() => RunState.Read(_folder.Path));
    }

    [Fact]
    public void ModelFingerprint_SameWeightsElsewhere_IsEqualAndAnyChangeShows()
    {
        var before = ModelFingerprint.Compute(Goldens.At("qwen2"));
        Assert.Matches("^fp1:[0-9a-f]{64}$", before);
        Assert.NotEqual(before, ModelFingerprint.Compute(Goldens.At("qwen2-tied")));
        var bytes = File.ReadAllBytes(Goldens.At("qwen2", "model.safetensors"));
        var copy = _folder["model.safetensors"];
        File.WriteAllBytes(copy, bytes);
        Assert.Equal(before, ModelFingerprint.Compute(_folder.Path));
        bytes[^1] ^= 1;
        File.WriteAllBytes(copy, bytes);
        Assert.NotEqual(before, ModelFingerprint.Compute(_folder.Path));
    }
}
