using static Nibble.Config.KeyKind;

namespace Nibble.Config;

internal static partial class KeyTable
{
    private static KeySpec[] DataKeys() =>
    [
        Key("datasets", EntryList, "Training data, one entry per file or folder.", note: "required",
            children: DatasetKeys()),
        Key("test_datasets", EntryList, "Evaluation data; excludes `val_set_size`.", children: DatasetKeys()),
        Key("val_set_size", Number,
            "Rows taken from the end of the shuffled training data for evaluation: at most 1 a share, above 1 a count.",
            "0.0", range: new ValueRange(0, int.MaxValue)),
        Key("chat_template", Text, "Template of conversations, by name.", note: "the tokenizer's own"),
        Key("chat_template_jinja", Text, "Template as Jinja text; wins over the name."),
        Key("eot_tokens", TextList, "Tokens that end a turn.", note: "the tokenizer's EOS"),
        Key("default_system_message", Text, "System text where a conversation has none.", note: "the template's rule"),
        Key("train_on_inputs", KeyKind.Boolean, "Train prompt tokens too.", "false"),
        Key("shuffle_merged_datasets", KeyKind.Boolean, "Shuffle the merged rows by `seed`.", "true"),
        Key("dataset_exact_deduplication", KeyKind.Boolean, "Drop rows that repeat an earlier row exactly.", "false"),
        BuiltIn("dataset_prepared_path", Text, "rows are tokenised at every start, so no stale cache exists"),
        BuiltIn("dataset_num_proc", Integer, "tokenising uses all cores") with { Aliases = ["dataset_processes"] },
        BuiltIn("dataset_keep_in_memory", KeyKind.Boolean, "token ids are always held in memory"),
        Later("pretraining_dataset", Text | EntryList, "streaming pre-training data"),
        Later("streaming", KeyKind.Boolean, "streaming data"),
        Later("train_on_eot", Text | KeyKind.Boolean, "a rule for end-of-turn tokens apart from train_on_eos"),
    ];

    // Made twice, for datasets and for test_datasets, which take the same keys.
    private static KeySpec[] DatasetKeys() =>
    [
        Key("path", Text, "File or folder (as given, else beside the config file), or a data set's Hub name.",
            note: "required"),
        Key("name", Text, "Folder of a Hub data set's files that are meant.", note: "files outside folders, or `data`"),
        Key("revision", Text, "Branch, tag or commit of a Hub data set.", note: "the default branch"),
        Key("type", Text | Mapping, "How a row becomes tokens.", note: "pre-tokenised rows with `input_ids`",
            allowed: [.. KnownNames.DatasetTypes]) with
        { Children = new KeyLevel([.. UserDefinedTypeKeys()]) },
        Key("ds_type", Text, "File format.", note: "by extension", allowed: ["json", "csv", "text", "parquet"]),
        Key("data_files", Text | TextList, "Files inside the folder `path`.", note: "all"),
        Key("split", Text, "Name of the split; informative for local files."),
        Key("field", Text, "Text column of `completion`.", "text"),
        Key("field_messages", Text, "Message column of `chat_template`.", "messages"),
        Key("message_property_mappings", Mapping, "Names of a message's properties in the rows.", children:
        [
            Key("role", Text, "Property that holds the role.", "role"),
            Key("content", Text, "Property that holds the text.", "content"),
            Later("tool_calls", Text, "tool calls under another name", "tool_calls"),
        ]),
        Key("roles", Mapping, "Canonical role to the names it has in the rows, besides the built-in aliases.") with
        { AnyChild = Key("name", TextList, "Names in the rows.") },
        Key("roles_to_train", TextList, "Roles whose turns train.", "[assistant]"),
        Key("train_on_eos", Text, "Which end-of-turn tokens train.", "turn", allowed: ["all", "turn", "last", "none"]),
        Key("message_field_training", Text, "Boolean property of a message that overrides whether its turn trains."),
        Key("chat_template", Text, "Template for this entry.", note: "the run's"),
        Later("train_on_eot", Text | KeyKind.Boolean, "a rule for end-of-turn tokens apart from train_on_eos"),
        Later("shards", Integer, "training on one shard of a data set"),
        Later("drop_system_message", KeyKind.Boolean, "dropping the system turn"),
        Later("field_system", Text, "a system column outside the messages", "system"),
        Later("field_tools", Text, "a tools column", "tools"),
        Later("message_field_training_detail", Text, "training spans inside a message"),
    ];

    private static IEnumerable<KeySpec> UserDefinedTypeKeys() => KnownNames.UserDefinedTypeKeys.Select(
        name => Later(name, Text, "user-defined prompts; use chat_template, alpaca or completion"));

    private static KeySpec[] SequenceKeys() =>
    [
        Key("sequence_len", Integer, "Most tokens of a row.", "512", range: ValueRange.AtLeast(2)),
        Key("excess_length_strategy", Text, "What happens to longer rows.", "drop",
            allowed: ["drop", "truncate", "raise"]),
        Key("min_sample_len", Integer, "Rows with fewer tokens are dropped.", "2", range: ValueRange.AtLeast(1)),
        Key("sample_packing", KeyKind.Boolean, "Fill each micro-batch with whole samples.", "false"),
        Key("eval_sample_packing", KeyKind.Boolean, "The same for evaluation.", note: "`sample_packing`"),
        Key("pad_to_sequence_len", KeyKind.Boolean,
            "Describes the batch only: padding is never computed and changes no gradient.", note: "`sample_packing`"),
        BuiltIn("pad_to_multiple_of", Integer, "padding is never computed"),
        Refuse("sample_packing_group_size", Integer, "packing groups have a fixed size of 100000 rows", "100000"),
        Refuse("sample_packing_bin_size", Integer, "a bin holds at most 200 rows", "200"),
        Later("sample_packing_sequentially", KeyKind.Boolean, "packing in file order"),
        Later("group_by_length", KeyKind.Boolean, "batches of rows of similar length"),
        Later("curriculum_sampling", KeyKind.Boolean, "rows in file order"),
        Later("eval_sequence_len", Integer, "another length for evaluation"),
    ];
}
