namespace Nibble.Config;

internal sealed partial class RunConfigBuilder
{
    private static readonly string[] ConversationKeys =
    [
        "field_messages", "message_property_mappings", "roles", "roles_to_train", "train_on_eos",
        "message_field_training", "chat_template",
    ];

    private DataOptions BuildData()
    {
        Required("datasets");
        var size = root.Number("val_set_size");
        if (size == 1 || (size > 1 && size != Math.Floor(size)))
        {
            Error(
                "val_set_size",
                size == 1
                    ? "1 means all rows, which leaves none to train; give a share below 1 or a count above 1."
                    : "a value above 1 is a count of rows and must be whole.");
        }

        if (root.OptionalText("chat_template") == "jinja" && !root.Has("chat_template_jinja"))
        {
            Error("chat_template", "'jinja' needs the template in chat_template_jinja.");
        }

        var special = root.Child("special_tokens");
        return new DataOptions
        {
            Train = [.. root.Entries("datasets").Select(BuildDataset)],
            Test = [.. root.Entries("test_datasets").Select(BuildDataset)],
            ValidationSize = size,
            ChatTemplate = root.OptionalText("chat_template"),
            ChatTemplateJinja = root.OptionalText("chat_template_jinja"),
            EotTokens = root.List("eot_tokens"),
            DefaultSystemMessage = root.OptionalText("default_system_message"),
            TrainOnInputs = root.Flag("train_on_inputs"),
            Shuffle = root.Flag("shuffle_merged_datasets"),
            ExactDeduplication = root.Flag("dataset_exact_deduplication"),
            SpecialTokens = special.Keys.Where(key => key.Usable)
                .ToDictionary(key => key.Spec.Name, key => special.Text(key.Spec.Name)),
        };
    }

    private DatasetOptions BuildDataset(ConfigSection entry)
    {
        if (entry.Find("path") is null)
        {
            checker.Errors.Add(checker.Finding(entry.Origin, entry.PathOf("path"), "the key is required.") with
            {
                Expected = "a file or folder",
            });
        }

        if (entry.Find("type") is { Usable: true, Node: MappingNode } type)
        {
            Error(type, "user-defined prompts are not supported yet; use chat_template, alpaca or completion.");
        }

        if (entry.Find("roles_to_train") is { Node: SequenceNode { Items.Count: 0 } } roles)
        {
            Error(roles, "must name at least one role, or nothing would train.");
        }

        var kind = entry.OptionalText("type");
        WarnUnlessType("field", "completion");
        foreach (var name in ConversationKeys)
        {
            WarnUnlessType(name, "chat_template");
        }

        return new DatasetOptions
        {
            Path = ExistingPath(entry, "path"),
            Subset = entry.OptionalText("name"),
            Revision = entry.OptionalText("revision"),
            Type = kind,
            FileFormat = entry.OptionalText("ds_type"),
            DataFiles = entry.List("data_files"),
            Split = entry.OptionalText("split"),
            Field = entry.Text("field"),
            FieldMessages = entry.Text("field_messages"),
            MessageProperties = new Dictionary<string, string>
            {
                ["role"] = entry.Child("message_property_mappings").Text("role"),
                ["content"] = entry.Child("message_property_mappings").Text("content"),
            },
            Roles = BuildRoles(entry),
            RolesToTrain = entry.List("roles_to_train"),
            TrainOnEos = entry.Text("train_on_eos"),
            MessageFieldTraining = entry.OptionalText("message_field_training"),
            ChatTemplate = entry.OptionalText("chat_template"),
            ConfigLine = entry.Origin.Line,
        };

        void WarnUnlessType(string name, string wanted)
        {
            if (entry.Find(name) is { Usable: true } key && kind != wanted
                && entry.Find("type") is null or { Usable: true })
            {
                Warn(key, $"has no effect: it belongs to type: {wanted}, and this entry is {kind ?? "pre-tokenised"}.");
            }
        }
    }

    private static Dictionary<string, IReadOnlyList<string>> BuildRoles(ConfigSection entry)
    {
        var roles = new Dictionary<string, IReadOnlyList<string>>();
        if (!entry.Has("roles"))
        {
            return roles;
        }

        foreach (var section in entry.Find("roles")!.Sections)
        {
            foreach (var key in section.Keys.Where(key => key.Usable))
            {
                roles[key.Spec.Name] = section.List(key.Spec.Name);
            }
        }

        return roles;
    }
}
