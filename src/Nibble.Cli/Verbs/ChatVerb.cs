using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Data.Formats;
using Nibble.Data.Templates;
using Nibble.Data.Tokenizers;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble chat</c>.</summary>
internal sealed class ChatVerb : AdapterVerb
{
    private readonly Option<string?> _system = new("--system") { Description = "System message.", HelpName = "text" };

    private readonly Option<int> _context = new("--context")
    {
        Description = "Most tokens of the conversation.",
        DefaultValueFactory = _ => 2048,
    };

    private readonly SamplingFlags _sampling = new();

    public ChatVerb()
        : base("chat", "Talk to the model through its chat template. /reset begins anew, /exit or end of input leaves.")
    {
        Add(_system);
        Add(_context);
        _sampling.AddTo(this);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var config = LoadWithFiles(arguments, session, rows: false).Config;
        var sampling = _sampling.Read(arguments, config.Seed);
        var context = arguments.GetValue(_context);
        if (context <= sampling.MaxNewTokens)
        {
            throw new UsageException(
                $"--context {context} leaves no room beside --max-new-tokens {sampling.MaxNewTokens}.");
        }

        var adapter = AdapterFolder(arguments, config);
        var system = arguments.GetValue(_system);
        var tokenizer = HfTokenizer.Load(config.Tokenizer.Folder).WithSpecialTokens(config.Data.SpecialTokens);

        // A template that is missing or broken is found before the model is loaded.
        _ = PromptEncoder.Chat(config.Data, tokenizer, [new ChatMessage("user", "?")]);
        using var runtime = Open(config, adapter, context, context, session.Terminal);
        var messages = Opening(system);
        while (ReadTurn(session.Terminal) is { } turn)
        {
            if (turn.Length == 0)
            {
                continue;
            }

            if (turn is "/exit" or "/quit")
            {
                break;
            }

            if (turn == "/reset")
            {
                messages = Opening(system);
                session.Terminal.Note("a new conversation");
                continue;
            }

            messages.Add(new ChatMessage("user", turn));
            var prompt = PromptEncoder.Chat(config.Data, tokenizer, messages);
            if (prompt.Length + sampling.MaxNewTokens > context)
            {
                session.Terminal.Warn(
                    $"the conversation has {prompt.Length} tokens and leaves no room in --context "
                    + $"{context}: /reset begins anew.");
                messages.RemoveAt(messages.Count - 1);
                continue;
            }

            // The first Ctrl-C ends the answer, at the prompt it leaves.
            var stream = new TextStream(session.Terminal, tokenizer);
            var answer = session.Interruption.Graceful(stop => runtime.Generate(prompt, sampling, stream.Add, stop));
            stream.End();
            messages.Add(new ChatMessage("assistant", tokenizer.Decode([.. answer.Ids], skipSpecial: true)));
        }

        return ExitCode.Ok;
    }

    private static List<ChatMessage> Opening(string? system) =>
        system is null ? [] : [new ChatMessage("system", system)];

    private static string? ReadTurn(Terminal terminal)
    {
        if (!System.Console.IsInputRedirected)
        {
            terminal.Write("> ");
        }

        return System.Console.In.ReadLine()?.Trim();
    }
}
