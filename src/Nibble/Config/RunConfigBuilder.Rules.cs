namespace Nibble.Config;

internal sealed partial class RunConfigBuilder
{
    private static readonly string[] RequiredWithAdapter = ["lora_r", "lora_alpha"];
    private static readonly string[] CosineKeys = ["cosine_min_lr_ratio", "cosine_constant_lr_ratio"];
    private static readonly string[] WarmupKeys = ["warmup_steps", "warmup_ratio"];

    private void CheckContradictions()
    {
        CheckAdapter();
        CheckPrecision();
        if (root.IsTrue("load_in_4bit") && root.IsTrue("load_in_8bit"))
        {
            Both("load_in_4bit", "load_in_8bit", "weights have one storage");
        }

        if (root.Find("warmup_steps") is not null && root.Find("warmup_ratio") is not null)
        {
            Both("warmup_steps", "warmup_ratio", "keep one");
        }

        if (root.Number("val_set_size") > 0 && root.Has("test_datasets"))
        {
            Both("val_set_size", "test_datasets", "split the training data, or name evaluation data");
        }

        if (root.Find("batch_size") is not null && root.Find("gradient_accumulation_steps") is not null)
        {
            Both("batch_size", "gradient_accumulation_steps", "the one follows from the other");
        }

        if (root.Has("cosine_constant_lr_ratio") && root.Find("cosine_min_lr_ratio") is null)
        {
            Error("cosine_constant_lr_ratio", "needs cosine_min_lr_ratio, the level that is then held.");
        }

        foreach (var name in CosineKeys)
        {
            if (root.Has(name) && root.Text("lr_scheduler") != "cosine")
            {
                Both(name, "lr_scheduler", "it shapes the cosine only");
            }
        }

        if (root.Text("lr_scheduler") == "constant")
        {
            foreach (var name in WarmupKeys)
            {
                if (root.Has(name) && root.OptionalNumber(name) > 0)
                {
                    Warn(root.Find(name)!, "has no effect: the schedule 'constant' has no warm-up; "
                        + "use constant_with_warmup.");
                }
            }
        }

        if (root.Integer("min_sample_len") > root.Integer("sequence_len"))
        {
            checker.Errors.Add(checker.Finding(
                (root.Find("min_sample_len") ?? root.Find("sequence_len"))!.At,
                "min_sample_len",
                "is larger than sequence_len; no row could pass."));
        }
    }

    private void CheckAdapter()
    {
        if (root.Find("bnb_config_kwargs") is { Sections: [var kwargs] } given && kwargs.Keys.Any()
            && !root.IsTrue("load_in_4bit"))
        {
            Error(given, "has no effect without load_in_4bit: true.");
        }

        var adapter = root.Find("adapter");
        if (adapter is null)
        {
            if (root.IsTrue("load_in_4bit"))
            {
                Error("load_in_4bit", "4-bit weights are frozen, so something else must train; add adapter: lora.");
            }

            foreach (var key in root.Keys.Where(key => key.Usable && IsAdapterKey(key.Spec.Name)))
            {
                Error(key, "needs an adapter; add adapter: lora, or remove this key to train every weight.");
            }

            return;
        }

        if (!adapter.Usable)
        {
            return;
        }

        if (adapter.Node is ScalarNode { Text: "qlora" } && !root.IsTrue("load_in_4bit"))
        {
            Error(adapter, "qlora means 4-bit base weights; add load_in_4bit: true, or say adapter: lora.");
        }

        foreach (var name in RequiredWithAdapter.Where(name => root.Find(name) is null))
        {
            checker.Errors.Add(checker.Finding(adapter.At, name, "an adapter needs this key; it has no default.") with
            {
                Expected = KeyTable.Root.Find(name)!.Expectation,
            });
        }
    }

    // False leaves a feature off, with or without an adapter.
    private bool IsAdapterKey(string name) =>
        (name.StartsWith("lora_", StringComparison.Ordinal) || name.StartsWith("peft_", StringComparison.Ordinal)
            || name == "loraplus_lr_ratio")
        && !(KeyTable.Root.Find(name)!.Kind == KeyKind.Boolean && !root.Flag(name))
        && name != "lora_on_cpu";

    private void CheckPrecision()
    {
        var bf16 = root.OptionalText("bf16");
        if (bf16 is "true" or "full" && root.IsTrue("fp16"))
        {
            Both("bf16", "fp16", "a run has one precision");
        }

        var device = root.Child("nibble").Text("device");
        var kwargs = root.Child("bnb_config_kwargs");
        var asks = bf16 == "false" ? root.Find("bf16")
            : kwargs.OptionalText("bnb_4bit_compute_dtype") == "float32" ? kwargs.Find("bnb_4bit_compute_dtype")
            : null;
        if (asks is null || device == "cpu")
        {
            return;
        }

        if (device.StartsWith("cuda", StringComparison.Ordinal))
        {
            Error(asks, "asks for fp32, and a GPU computes in bf16 here; remove it, or set nibble.device: cpu.");
        }
        else
        {
            Warn(asks, "asks for fp32, which only the CPU computes in; on a GPU the run is bf16.");
        }
    }

    // Stands at the key that comes second, and names the place of the first.
    private void Both(string a, string b, string why)
    {
        var first = root.Find(a)!;
        var second = root.Find(b)!;
        if (second.At.Flag is null && (first.At.Flag is not null || first.At.Line > second.At.Line))
        {
            (first, second) = (second, first);
        }

        Error(second, $"contradicts {first.Path} ({first.At}); {why}.");
    }
}
