using Nibble.Config;

namespace Nibble.Tests.Config;

public sealed class KeyTableTests
{
    private static IEnumerable<(string Path, KeySpec Key)> AllKeys => KeyTable.Root.Keys.Select(key => (key.Name, key))
        .Concat(KeyTable.Nested.SelectMany(
            nested => nested.Level.Keys.Select(key => ($"{nested.Path}.{key.Name}", key))));

    /// <summary>The keys that Axolotl users write, as its documentation lists them.</summary>
    private const string Axolotl = """
        base_model tokenizer_config model_type tokenizer_type tokenizer_use_fast trust_remote_code model_revision
        output_dir gpu_memory_limit special_tokens tokens added_tokens_overrides resize_token_embeddings_to_32x
        embeddings_skip_upcast load_in_4bit load_in_8bit adapter bnb_config_kwargs lora_r lora_alpha lora_dropout
        lora_target_modules lora_target_linear lora_modules_to_save lora_rank_pattern lora_alpha_pattern
        lora_fan_in_fan_out lora_model_dir lora_on_cpu peft_use_dora peft_use_rslora peft_init_lora_weights peft
        peft_layers_to_transform loraplus_lr_ratio loraplus_lr_embedding datasets test_datasets chat_template
        chat_template_jinja eot_tokens default_system_message train_on_inputs shuffle_merged_datasets
        dataset_exact_deduplication dataset_prepared_path dataset_num_proc val_set_size sequence_len
        excess_length_strategy min_sample_len group_by_length sample_packing eval_sample_packing
        sample_packing_group_size sample_packing_bin_size sample_packing_sequentially pad_to_sequence_len
        pad_to_multiple_of micro_batch_size gradient_accumulation_steps batch_size eval_batch_size num_epochs
        max_steps learning_rate optimizer optim_args weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm
        lr_scheduler cosine_min_lr_ratio cosine_constant_lr_ratio warmup_steps warmup_ratio eval_steps evals_per_epoch
        eval_strategy metric_for_best_model early_stopping_patience load_best_model_at_end generate_samples
        num_generation_samples generation_max_new_tokens generation_temperature save_steps save_strategy
        saves_per_epoch save_total_limit save_only_model save_first_step resume_from_checkpoint
        auto_resume_from_checkpoints hub_model_id hub_strategy bf16 fp16 tf32 gradient_checkpointing
        activation_offloading attn_implementation flash_attention sdp_attention torch_compile neftune_noise_alpha
        lora_mlp_kernel lora_qkv_kernel lora_o_kernel plugins dataloader_num_workers dataloader_pin_memory
        dataloader_prefetch_factor dataloader_drop_last logging_steps wandb_project wandb_name wandb_run_name
        wandb_run_id wandb_entity wandb_mode wandb_watch wandb_log_model use_tensorboard use_mlflow
        mlflow_tracking_uri mlflow_experiment_name include_tkps loss_watchdog_threshold loss_watchdog_patience seed
        strict debug loss_normalization nibble
        """;

    [Fact]
    public void Table_KeysOfAxolotl_AllHaveAnEntry() => Assert.All(
        Axolotl.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries),
        name => Assert.True(KeyTable.Root.Find(name) is not null, name));

    [Fact]
    public void Table_KeysOfADatasetEntry_AllHaveAnEntry() => Assert.All(
        ("path type name split ds_type data_files field field_messages message_property_mappings roles roles_to_train "
            + "train_on_eos message_field_training chat_template drop_system_message shards revision").Split(' '),
        name => Assert.True(KeyTable.Root.Find("datasets")!.Children!.Find(name) is not null, name));

    [Fact]
    public void Table_EveryEntry_IsDocumentedInOneLine() => Assert.All(AllKeys, entry =>
    {
        Assert.InRange(entry.Key.Doc.Length, 5, 130);
        Assert.DoesNotContain('\n', entry.Key.Doc);
    });

    [Fact]
    public void Table_EveryDefault_PassesItsOwnCheck() => Assert.All(
        AllKeys.Where(entry => entry.Key.Default is not null),
        entry =>
        {
            var checker = new ConfigChecker("table", lenient: false);
            var node = YamlTreeReader.ReadFlow(entry.Key.Default!, "default");
            if (KeyTable.Root.Find(entry.Path) is not null)
            {
                checker.CheckRoot(new MappingNode(node.Origin, [new MappingEntry(entry.Path, node.Origin, node)]));
            }

            Assert.Empty(checker.Errors);
            Assert.True(entry.Key.Allowed.Count == 0 || entry.Key.Allowed.Contains(entry.Key.Default!), entry.Path);
        });

    [Theory]
    [InlineData("lernin_rate", "learning_rate")]
    [InlineData("lora_rank", "lora_r")]
    [InlineData("Micro_Batch_Size", "micro_batch_size")]
    public void NearestName_OfAMistypedKey_IsTheKnownOne(string written, string expected) =>
        Assert.Equal(expected, NearestName.Find(written, KeyTable.Root.Names));

    [Theory]
    [InlineData("completely_different_thing")]
    [InlineData("x")]
    [InlineData("")]
    public void NearestName_OfSomethingElse_IsNone(string written) =>
        Assert.Null(NearestName.Find(written, KeyTable.Root.Names));

    [Theory]
    [InlineData("kitten", "sitting", 3)]
    [InlineData("", "abc", 3)]
    [InlineData("same", "same", 0)]
    public void NearestName_Distance_IsLevenshtein(string a, string b, int expected) =>
        Assert.Equal(expected, NearestName.Distance(a, b));
}
