namespace Nibble.Config;

/// <summary>One key given on the command line; it wins over the file.</summary>
/// <param name="Key">Dotted key, list entries by index from 0: <c>lora_r</c>, <c>datasets.0.path</c>.</param>
/// <param name="Value">
/// Value as typed; lists separated by commas or in YAML's flow style. Null is a bare flag and means true.
/// </param>
public sealed record ConfigOverride(string Key, string? Value)
{
    /// <summary>
    /// Reads <c>--key value</c>, <c>--key=value</c> and bare <c>--key</c>. A key that only takes true or false takes
    /// the next argument only when that is one of them. Hyphens in a key stand for underscores.
    /// </summary>
    /// <param name="arguments">Arguments after the verb and the config file.</param>
    /// <exception cref="ConfigException">An argument that is no flag.</exception>
    public static IReadOnlyList<ConfigOverride> ParseArguments(IReadOnlyList<string> arguments)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        var overrides = new List<ConfigOverride>();
        var errors = new List<ConfigFinding>();
        for (var i = 0; i < arguments.Count; i++)
        {
            var argument = arguments[i];
            if (!IsFlag(argument))
            {
                errors.Add(new ConfigFinding
                {
                    File = "command line",
                    Problem = $"the argument '{argument}' follows no flag.",
                    Expected = "--key value",
                });
                continue;
            }

            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            if (equals >= 0)
            {
                overrides.Add(new ConfigOverride(argument[2..equals], argument[(equals + 1)..]));
                continue;
            }

            var key = argument[2..];
            var next = i + 1 < arguments.Count && !IsFlag(arguments[i + 1]) ? arguments[i + 1] : null;
            if (next is not null && OverrideLayer.SpecOf(key)?.Kind == KeyKind.Boolean
                && !ScalarReader.IsBooleanWord(next) && next is not ("0" or "1" or "null" or "~"))
            {
                next = null;
            }

            overrides.Add(new ConfigOverride(key, next));
            i += next is null ? 0 : 1;
        }

        return errors.Count == 0 ? overrides : throw new ConfigException(errors);
    }

    private static bool IsFlag(string argument) =>
        argument.Length > 2 && argument.StartsWith("--", StringComparison.Ordinal);
}
