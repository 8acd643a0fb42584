using System.Text.Json;
using Nibble.Data;
using Nibble.Data.Formats;
using Nibble.Data.Templates;
using Nibble.Data.Tokenizers;

namespace Nibble.Tests.Data;

public sealed class ChatTemplateTests : IDisposable
{
    private const string QwenDefault =
        "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are Qwen.<|im_end|>\\n' }}{% endif %}"
        + "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}";

    private const string Qwen = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

    private static readonly JsonElement Golden = DataFiles.Golden("templates.json");

    private static readonly Dictionary<string, string> Specials =
        new() { ["bos_token"] = "<s>", ["eos_token"] = "</s>" };

    private readonly DataRun _run = new();

    public static TheoryData<string> Templates =>
        new(Golden.GetProperty("templates").EnumerateObject().Select(t => t.Name));

    public void Dispose() => _run.Dispose();

    [Theory]
    [MemberData(nameof(Templates))]
    public void Render_EveryFeature_GivesTheTextOfTransformers(string name) =>
        Compare(name, Golden.GetProperty("templates").GetProperty(name).GetString()!);

    [Fact]
    public void Render_Qwen3_GivesTheTextOfTransformers()
    {
        var tokenizer = HfTokenizer.Load(DataFiles.Shared("tokenizers", "qwen3"));
        Compare("qwen3", tokenizer.ChatTemplateText!);
    }

    [Theory]
    [InlineData("{% if x %}a", "expected elif or else or endif")]
    [InlineData("{{ x | nope }}", "the filter 'nope' is not supported")]
    [InlineData("{% include 'x' %}", "expected if, for, set")]
    [InlineData("a\n{{ 'x }}", "line 2: a string never ends")]
    [InlineData("{{ x ", "a tag never ends")]
    [InlineData("{{ missing.attribute }}", "'attribute' of 'missing', which is undefined")]
    [InlineData("{{ raise_exception('roles must alternate') }}", "roles must alternate")]
    [InlineData("{{ 1 + 'a' }}", "'+' between a number and a string")]
    [InlineData("{{ 1 % 0 }}", "division by zero")]
    public void Render_FaultyTemplate_SaysWhereAndWhatToSet(string source, string expected)
    {
        var error = Assert.Throws<ChatTemplateException>(() => new JinjaTemplate("mine", source, Specials)
            .Render([new ChatMessage("user", "x")], addGenerationPrompt: false));
        Assert.StartsWith("mine: ", error.Message);
        Assert.Contains(expected, error.Message);
        Assert.Contains("chat_template: chatml", error.Message);
    }

    [Fact]
    public void Build_ChatMl_TrainsAssistantTextAndItsEndToken()
    {
        var samples =
            Build("""{"messages":[{"role":"user","content":"list"},{"role":"assistant","content":"ls -a"}]}""");
        Assert.Equal(
            "<|im_start|>user\nlist<|im_end|>\n<|im_start|>assistant\nls -a<|im_end|>\n",
            DataRun.Tokenizer.Decode(samples[0].InputIds, skipSpecial: false));
        Assert.Equal("ls -a<|im_end|>", Trained(samples[0]));
    }

    [Fact]
    public void Build_ReferenceRunConversation_HasTheLabelsOfTheChatMlRule()
    {
        var tokenizer = HfTokenizer.Load(DataFiles.Shared("tokenizers", "qwen2.5"))
            .WithSpecialTokens(new Dictionary<string, string> { ["eos_token"] = "<|im_end|>" });
        foreach (var line in File.ReadLines(DataFiles.Shared("reference-run", "rows.jsonl")))
        {
            var row = JsonDocument.Parse(line).RootElement;
            var path = _run.Write("c.jsonl", JsonSerializer.Serialize(new
            {
                messages = new[]
                {
                    new { role = "system", content = Qwen },
                    new { role = "user", content = row.GetProperty("instruction").GetString()! },
                    new { role = "assistant", content = row.GetProperty("output").GetString()! },
                },
            }));
            var data = DataRun.Data(DataRun.Dataset(path, "chat_template")) with { ChatTemplate = "chatml" };
            var sample = DatasetBuilder.Build(DataRun.Config(data), tokenizer).Train[0];
            Assert.Equal(row.GetProperty("input_ids").EnumerateArray().Select(id => id.GetInt32()), sample.InputIds);
            // The run's own labels train the line break after the end token too; the rule of the format does not.
            var labels = row.GetProperty("labels").EnumerateArray().Select(id => id.GetInt32()).ToArray();
            labels[^1] = Sample.Masked;
            Assert.Equal(labels, sample.Labels);
        }
    }

    [Theory]
    [InlineData("turn", "one<|im_end|>two<|im_end|>")]
    [InlineData("none", "onetwo")]
    [InlineData("last", "onetwo<|im_end|>")]
    [InlineData("all", "<|im_end|><|im_end|>one<|im_end|><|im_end|>two<|im_end|>")]
    public void Build_TrainOnEos_ChoosesTheEndTokens(string rule, string expected)
    {
        const string Row = """{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},"""
            + """{"role":"assistant","content":"one"},{"role":"user","content":"b"},"""
            + """{"role":"assistant","content":"two"}]}""";
        Assert.Equal(expected, Trained(Build(Row, set => set with { TrainOnEos = rule })[0]));
    }

    [Fact]
    public void Build_ShareGpt_IsReadByPropertyMapping()
    {
        var samples = Build(
            """{"conversations":[{"from":"human","value":"list"},{"from":"gpt","value":"ls"}]}""",
            set => set with
            {
                FieldMessages = "conversations",
                MessageProperties = new Dictionary<string, string> { ["role"] = "from", ["content"] = "value" },
            });
        Assert.StartsWith("<|im_start|>user\nlist", DataRun.Tokenizer.Decode(samples[0].InputIds, false));
        Assert.Equal("ls<|im_end|>", Trained(samples[0]));
    }

    [Fact]
    public void Build_RolesAndTrainingFlag_DecideWhatTrains()
    {
        const string Row = """{"messages":[{"role":"bot","content":"one","train":false},"""
            + """{"role":"user","content":"q","train":true},{"role":"bot","content":"two"}]}""";
        var roles = new Dictionary<string, IReadOnlyList<string>> { ["assistant"] = ["bot"] };
        Assert.Equal("one<|im_end|>two<|im_end|>", Trained(Build(Row, set => set with { Roles = roles })[0]));
        Assert.Equal("q<|im_end|>two<|im_end|>", Trained(
            Build(Row, set => set with { Roles = roles, MessageFieldTraining = "train" })[0]));
        Assert.Equal(
            "q<|im_end|>", Trained(Build(Row, set => set with { Roles = roles, RolesToTrain = ["user"] })[0]));
    }

    [Fact]
    public void Build_TemplateThatDropsThoughts_LabelsOnlyWhatIsShown()
    {
        const string Template =
            "{% for m in messages %}<|im_start|>{{ m.role }}\n"
            + "{{ m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}";
        var samples = Build(
            """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"<think>hm</think>ls"},"""
            + """{"role":"user","content":"b"},{"role":"assistant","content":"cp"}]}""",
            template: Template);
        Assert.Equal("ls<|im_end|>cp<|im_end|>", Trained(samples[0]));
    }

    [Fact]
    public void Build_TokenizerDefault_AddsTheTemplatesOwnSystemTurnAndMasksIt()
    {
        var samples = Build("""{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""",
            template: QwenDefault);
        Assert.StartsWith("<|im_start|>system\nYou are Qwen.", DataRun.Tokenizer.Decode(samples[0].InputIds, false));
        Assert.Equal("b<|im_end|>", Trained(samples[0]));
    }

    [Theory]
    [InlineData("""{"messages":[{"from":"human","value":"x"}]}""", "messages[0] has no 'role'; it has from, value")]
    [InlineData("""{"messages":"x"}""", "'messages' should be a list of messages")]
    [InlineData("""{"messages":[{"role":"user","content":5}]}""", "'messages[0].content' should be a string")]
    [InlineData("""{"messages":[{"role":"user","content":"only asked"}]}""", "no token of this row trains")]
    [InlineData("""{"message":[]}""", "Did you mean 'message'?")]
    public void Build_BadConversation_SaysWhatIsWrong(string row, string expected)
    {
        var message = Assert.Throws<DatasetException>(() => Build(row)).Message;
        Assert.Contains(expected, message);
        Assert.Contains("c.jsonl:1", message);
    }

    [Fact]
    public void Create_NoTemplateAnywhere_SaysWhatToSet()
    {
        var error = Assert.Throws<ChatTemplateException>(
            () => ChatTemplate.Create(DataRun.Data(), null, DataRun.Tokenizer));
        Assert.Contains("Set chat_template: chatml", error.Message);
    }

    private static void Compare(string name, string source)
    {
        var template = new JinjaTemplate(name, source, Specials);
        var compared = 0;
        foreach (var test in Golden.GetProperty("cases").EnumerateArray())
        {
            if (test.GetProperty("template").GetString() != name)
            {
                continue;
            }

            compared++;
            var messages = (List<object?>)ChatFormat.ToValue(test.GetProperty("messages"))!;
            var variables = new Dictionary<string, object?>(
                (Dictionary<string, object?>)ChatFormat.ToValue(test.GetProperty("extra"))!)
            {
                ["tools"] = ChatFormat.ToValue(test.GetProperty("tools")),
            };
            var generation = test.GetProperty("generation").GetBoolean();
            if (test.GetProperty("text").GetString() is { } expected)
            {
                Assert.Equal(expected, template.Render(messages, generation, variables));
            }
            else
            {
                Assert.Throws<ChatTemplateException>(() => template.Render(messages, generation, variables));
            }
        }

        Assert.InRange(compared, 12, 100);
    }

    private Sample[] Build(string row, Func<Nibble.Config.DatasetOptions, Nibble.Config.DatasetOptions>? change = null,
        string? template = null)
    {
        var set = DataRun.Dataset(_run.Write("c.jsonl", row), "chat_template");
        return DataRun.Build(DataRun.Data(change is null ? set : change(set)) with
        {
            ChatTemplate = template is null ? "chatml" : null,
            ChatTemplateJinja = template,
        }).Train;
    }

    private static string Trained(Sample sample) => DataRun.Tokenizer.Decode(
        [.. sample.Labels.Where(label => label != Sample.Masked)], skipSpecial: false);
}
