using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Data.Formats;
using Nibble.Data.Templates;
using Nibble.Data.Tokenizers;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble generate</c>.</summary>
internal sealed class GenerateVerb : AdapterVerb
{
    private readonly Option<string?> _prompt = new("--prompt")
    {
        Description = "What to say to the model; standard input when left out.",
        HelpName = "text",
    };

    private readonly Option<string?> _system =
        new("--system") { Description = "System message of a chat prompt.", HelpName = "text" };

    private readonly Option<bool> _raw = new("--raw")
    {
        Description = "Continue the text as it is, without the format the run trains on.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<bool> _chat = new("--chat")
    {
        Description = "Put the text through the chat template, whatever the run trains on.",
        Arity = ArgumentArity.Zero,
    };

    private readonly SamplingFlags _sampling = new();

    public GenerateVerb()
        : base("generate", "Continue a prompt, put into the form the run trains on.")
    {
        Add(_prompt);
        Add(_system);
        Add(_raw);
        Add(_chat);
        _sampling.AddTo(this);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var config = LoadWithFiles(arguments, session, rows: false).Config;
        var sampling = _sampling.Read(arguments, config.Seed);
        var (raw, chat) = (arguments.GetValue(_raw), arguments.GetValue(_chat));
        if (raw && chat)
        {
            throw new UsageException("--raw and --chat exclude each other.");
        }

        var adapter = AdapterFolder(arguments, config);
        var text = arguments.GetValue(_prompt) ?? ReadInput();
        var tokenizer = HfTokenizer.Load(config.Tokenizer.Folder).WithSpecialTokens(config.Data.SpecialTokens);
        List<ChatMessage> messages = arguments.GetValue(_system) is { } system ? [new("system", system)] : [];
        messages.Add(new ChatMessage("user", text));
        var prompt = raw ? tokenizer.Encode(text)
            : chat ? PromptEncoder.Chat(config.Data, tokenizer, messages)
            : PromptEncoder.AsTrained(config.Data, tokenizer, messages);
        using var runtime = Open(
            config, adapter, prompt.Length + sampling.MaxNewTokens, prompt.Length, session.Terminal);
        var stream = new TextStream(session.Terminal, runtime.Tokenizer);
        return session.Interruption.Graceful(stop =>
        {
            var started = TimeProvider.System.GetTimestamp();
            var result = runtime.Generate(prompt, sampling, stream.Add, stop);
            var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
            stream.End();
            session.Terminal.Note($"{prompt.Length} + {result.Ids.Count} tokens in {Words.Duration(seconds)}, "
                + (result.Terminated ? "ended by the model"
                    : stop.IsCancellationRequested ? "interrupted"
                    : "cut at --max-new-tokens"));
            return stop.IsCancellationRequested ? ExitCode.Interrupted : ExitCode.Ok;
        });
    }

    private static string ReadInput()
    {
        if (!System.Console.IsInputRedirected)
        {
            throw new UsageException("--prompt is missing, and nothing is piped in.");
        }

        var text = System.Console.In.ReadToEnd().TrimEnd('\r', '\n');
        return text.Length > 0 ? text : throw new UsageException("standard input holds no prompt.");
    }
}
