using System.Text.Json.Nodes;
using Nibble.Tracking;
using Nibble.Tracking.Wandb;

namespace Nibble.Tests.Tracking;

/// <summary>Descriptions that the tests start trackers with.</summary>
internal static class Runs
{
    public static RunDescription Of(string id = "abcd1234", int? resumedFrom = null) => new()
    {
        Project = "Nibble-Tests",
        Name = "first",
        Id = id,
        Config = new JsonObject
        {
            ["learning_rate"] = 0.0002,
            ["lora_r"] = 8,
            ["base_model"] = "models/qwen \"tiny\"",
            ["lora_target_modules"] = new JsonArray("q_proj", "v_proj"),
            ["chat_template"] = null,
            ["adam_epsilon"] = 1e-8,
        },
        StartTime = FixedClock.Noon,
        ResumedFromStep = resumedFrom,
    };

    public static WandbSettings Wandb(
        string folder, WandbMode mode = WandbMode.Offline, params string[] notices) => new(
        mode, "Nibble-Tests", "team", "first", null, "group", "train", "some notes", ["a", "b"], folder, notices);

    public static Func<string, string?> Environment(params (string Name, string Value)[] variables) =>
        name => Array.Find(variables, variable => variable.Name == name).Value;
}
