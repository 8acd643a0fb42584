using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Nibble.Cli.Shell;

/// <summary>
/// The library's help page, which knows nothing of config keys: where it speaks of additional
/// arguments, this one says what they are.
/// </summary>
/// <param name="page">The library's.</param>
internal sealed class HelpPage(HelpAction page) : SynchronousCommandLineAction
{
    private const string GenericUsage = "[[--] <additional arguments>...]]";
    private const string GenericSection = "Additional Arguments:";

    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <summary>Replaces the page that <c>--help</c> shows.</summary>
    /// <param name="root">The root command.</param>
    public static void Install(RootCommand root)
    {
        var option = root.Options.OfType<HelpOption>().First();
        option.Action = new HelpPage((HelpAction)option.Action!);
    }

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        var output = parseResult.InvocationConfiguration.Output;
        using var text = new StringWriter();
        parseResult.InvocationConfiguration.Output = text;
        page.Invoke(parseResult);
        parseResult.InvocationConfiguration.Output = output;
        var help = text.ToString().Replace(GenericUsage, "[--key value …]", StringComparison.Ordinal);
        var section = help.IndexOf(GenericSection, StringComparison.Ordinal);
        output.Write(section < 0 ? help : help[..section]
            + """
              Config keys:
                --key value        Any key of the YAML: --learning_rate 1e-4 --lora_target_modules q_proj,v_proj
                --key.0.sub value  A key of a list's entry, counted from 0: --datasets.0.path rows.jsonl

              """.ReplaceLineEndings());
        return ExitCode.Ok;
    }
}
