using System.CommandLine;
using Nibble.Cli.Views;
using Nibble.Config;
using Nibble.Hub;

namespace Nibble.Cli.Shell;

/// <summary>A verb over a run's YAML and the flags that override its keys.</summary>
internal abstract class ConfigVerb : Verb
{
    private readonly Argument<string> _config = new("config")
    {
        Description =
            "YAML file of the run. Every key of it can be overridden after it: --key value, --key.0.sub value.",
    };

    private readonly Option<string?> _device = new("--device")
    {
        Description = "auto, cpu, cuda or cuda:N (the key nibble.device).",
        HelpName = "name",
    };

    private readonly Option<bool> _lenient = new("--lenient")
    {
        Description = "Unknown keys of the file are warnings.",
        Arity = ArgumentArity.Zero,
    };

    /// <summary>Names the verb and adds the arguments they all have.</summary>
    /// <param name="name">As typed.</param>
    /// <param name="description">For the help.</param>
    protected ConfigVerb(string name, string description)
        : base(name, description)
    {
        TreatUnmatchedTokensAsErrors = false;
        Add(_config);
        Add(_device);
        Add(_lenient);
    }

    /// <summary>The file as it was named.</summary>
    /// <param name="arguments">Parsed arguments.</param>
    protected string ConfigPath(ParseResult arguments) => arguments.GetRequiredValue(_config);

    /// <summary>Reads the run.</summary>
    /// <param name="arguments">Parsed arguments.</param>
    /// <param name="more">Overrides that the verb's own flags stand for.</param>
    /// <exception cref="ConfigException">The file or a flag is wrong.</exception>
    protected LoadedConfig Load(ParseResult arguments, params IEnumerable<ConfigOverride> more)
    {
        var path = ConfigPath(arguments);
        var flags = Overrides.Read(arguments, path, arguments.GetValue(_device));
        return ConfigLoader.Load(path, [.. flags, .. more], arguments.GetValue(_lenient));
    }

    /// <summary>Reads the run and finds its files, those on the Hub by downloading them.</summary>
    /// <param name="arguments">Parsed arguments.</param>
    /// <param name="session">Shows downloads, and stops them.</param>
    /// <param name="weights">Whether the base model's weights are wanted.</param>
    /// <param name="rows">Whether the data sets' rows are wanted.</param>
    /// <param name="more">Overrides that the verb's own flags stand for.</param>
    /// <exception cref="ConfigException">The file or a flag is wrong.</exception>
    /// <exception cref="HubException">A name is neither here nor on the Hub, or cannot be had from there.</exception>
    protected LoadedConfig LoadWithFiles(
        ParseResult arguments, Session session, bool weights = true, bool rows = true,
        params IEnumerable<ConfigOverride> more) =>
        DownloadView.Find(session, Load(arguments, more), weights, rows);
}
