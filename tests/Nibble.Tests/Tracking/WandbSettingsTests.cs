using Nibble.Config;
using Nibble.Tracking;
using Nibble.Tracking.Wandb;

namespace Nibble.Tests.Tracking;

public sealed class WandbSettingsTests
{
    private static readonly WandbOptions _plain = new("project", null, null, null, null, "false");

    [Fact]
    public void Resolve_NoProjectInTheConfig_IsDisabledWhateverTheEnvironmentSays()
    {
        WandbSettings settings = WandbSettings.Resolve(
            null, Runs.Environment(("WANDB_PROJECT", "p"), ("WANDB_MODE", "offline"), ("WANDB_RUN_ID", "bad/id")));
        Assert.Equal(WandbMode.Disabled, settings.Mode);
        Assert.Null(settings.RunId);
    }

    [Theory]
    [InlineData(null, null, WandbMode.Online, 0)]
    [InlineData(null, "offline", WandbMode.Offline, 0)]
    [InlineData(null, "dryrun", WandbMode.Offline, 0)]
    [InlineData(null, "disabled", WandbMode.Disabled, 0)]
    [InlineData(null, "shared", WandbMode.Online, 0)]
    [InlineData("offline", "disabled", WandbMode.Offline, 0)]
    [InlineData("disabled", "online", WandbMode.Disabled, 0)]
    [InlineData("online", "offline", WandbMode.Online, 0)]
    [InlineData(null, "somehow", WandbMode.Offline, 1)]
    public void Resolve_Mode_ConfigWinsOverEnvironment(
        string? configured, string? variable, WandbMode mode, int notices)
    {
        WandbSettings settings = WandbSettings.Resolve(
            _plain with { Mode = configured }, name => name == "WANDB_MODE" ? variable : null);
        Assert.Equal(mode, settings.Mode);
        Assert.Equal(notices, settings.Notices.Count);
    }

    [Theory]
    [InlineData("true")]
    [InlineData("1")]
    public void Resolve_WandbDisabled_SwitchesOff(string value) => Assert.Equal(
        WandbMode.Disabled,
        WandbSettings.Resolve(_plain with { Mode = "offline" }, Runs.Environment(("WANDB_DISABLED", value))).Mode);

    [Fact]
    public void Resolve_RunFields_ConfigWinsOverEnvironment()
    {
        Func<string, string?> environment = Runs.Environment(
            ("WANDB_PROJECT", "other"), ("WANDB_ENTITY", "env-team"), ("WANDB_NAME", "env-name"),
            ("WANDB_RUN_ID", "envid"), ("WANDB_RUN_GROUP", "g"), ("WANDB_JOB_TYPE", "j"), ("WANDB_NOTES", "n"),
            ("WANDB_TAGS", "a, b,,c"), ("WANDB_DIR", "somewhere"));
        WandbSettings fromEnvironment = WandbSettings.Resolve(_plain, environment);
        Assert.Equal(
            ("project", "env-team", "env-name", "envid"),
            (fromEnvironment.Project, fromEnvironment.Entity, fromEnvironment.Name, fromEnvironment.RunId));
        Assert.Equal(
            ("g", "j", "n", "somewhere"),
            (fromEnvironment.Group, fromEnvironment.JobType, fromEnvironment.Notes, fromEnvironment.Directory));
        Assert.Equal(["a", "b", "c"], fromEnvironment.Tags);

        WandbSettings fromConfig = WandbSettings.Resolve(
            _plain with { Name = "name", RunId = "id", Entity = "team" }, environment);
        Assert.Equal(("team", "name", "id"), (fromConfig.Entity, fromConfig.Name, fromConfig.RunId));
    }

    [Fact]
    public void Resolve_ApiKeyInTheEnvironment_IsNeverRead()
    {
        List<string> asked = [];
        WandbSettings.Resolve(_plain, name =>
        {
            asked.Add(name);
            return null;
        });
        Assert.Contains("WANDB_MODE", asked);
        Assert.DoesNotContain("WANDB_API_KEY", asked);
    }

    [Fact]
    public void Resolve_WhatOfflineRunsCannotDo_IsNoticed()
    {
        WandbSettings settings = WandbSettings.Resolve(
            _plain with { Mode = "offline", LogModel = "end" }, Runs.Environment(("WANDB_RESUME", "must")));
        Assert.Collection(
            settings.Notices,
            notice => Assert.Contains("WANDB_RESUME=must", notice, StringComparison.Ordinal),
            notice => Assert.Contains("wandb_log_model: end", notice, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" a")]
    [InlineData("a ")]
    [InlineData("a:b")]
    [InlineData("a;b")]
    [InlineData("a,b")]
    [InlineData("a#b")]
    [InlineData("a?b")]
    [InlineData("a/b")]
    [InlineData("a'b")]
    [InlineData("a\\b")]
    [InlineData("a\nb")]
    public void CheckRunId_NotAllowed_NamesWhereItCameFrom(string id)
    {
        TrackingException error = Assert.Throws<TrackingException>(
            () => WandbSettings.Resolve(_plain with { RunId = id }, Runs.Environment()));
        Assert.StartsWith("wandb_run_id: expected", error.Message, StringComparison.Ordinal);
        error = Assert.Throws<TrackingException>(
            () => WandbSettings.Resolve(_plain, name => name == "WANDB_RUN_ID" ? id : null));
        Assert.StartsWith("WANDB_RUN_ID: expected", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NewId_IsEightAllowedCharacters()
    {
        string id = RunDescription.NewId();
        Assert.Matches("^[a-z0-9]{8}$", id);
        WandbSettings.CheckRunId(id, "id");
    }
}
