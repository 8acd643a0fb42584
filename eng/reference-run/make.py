"""Makes what the reference run needs where Qwen2.5-Coder-7B-Instruct is not at hand: a model folder of its shape with
random weights, rows of the example as the text that run trained on, and the run's settings.

    python3 eng/reference-run/make.py FOLDER TOKENIZER
    time nibble train FOLDER/run.yml

TOKENIZER is the folder of a Qwen2.5 tokenizer. Time and memory of the run are those of the real weights; its losses
mean nothing. FOLDER takes 15 GB. Needs torch and safetensors, and is quick with a GPU. `--layers N` makes a smaller
one.

Settings: the public repository CLI-Tuner, axolotl_config.yaml (500 steps of 4 rows, 1,388 rows to train and 173
to evaluate every 50 steps, checkpoints every 100).
"""

import argparse
import json
import os
import shutil

import torch
from safetensors.torch import save_file

C, F, H, HKV, D, V, LAYERS = 3584, 18944, 28, 4, 128, 152064, 28
TRAIN, VALIDATE = 1388, 173
SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "nl2bash")

RUN = """base_model: {folder}/model
load_in_4bit: true
adapter: qlora
lora_r: 8
lora_alpha: 16
lora_dropout: 0.05
lora_target_modules: [q_proj, k_proj, v_proj, o_proj]
datasets:
  - path: {folder}/train.jsonl
    type: completion
    field: text
val_set_size: 0.0
test_datasets:
  - path: {folder}/val.jsonl
    type: completion
    field: text
    split: train
sequence_len: 512
sample_packing: false
pad_to_sequence_len: true
micro_batch_size: 1
gradient_accumulation_steps: 4
eval_batch_size: 1
max_steps: 500
optimizer: adamw_bnb_8bit
lr_scheduler: cosine
learning_rate: 0.0002
warmup_steps: 50
bf16: true
gradient_checkpointing: true
output_dir: {folder}/out
save_strategy: steps
save_steps: 100
save_total_limit: 3
eval_strategy: steps
eval_steps: 50
logging_steps: 10
wandb_project: reference-run
seed: 42
"""


def write_model(folder, tokenizer, layers):
    os.makedirs(folder, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device=device).manual_seed(1)

    def random(*shape):
        return torch.randn(*shape, generator=generator, device=device, dtype=torch.bfloat16).mul_(0.02).cpu()

    def layer(prefix):
        yield f"{prefix}.input_layernorm.weight", torch.ones(C, dtype=torch.bfloat16)
        yield f"{prefix}.post_attention_layernorm.weight", torch.ones(C, dtype=torch.bfloat16)
        for name, rows in (("q", H * D), ("k", HKV * D), ("v", HKV * D)):
            yield f"{prefix}.self_attn.{name}_proj.weight", random(rows, C)
            yield f"{prefix}.self_attn.{name}_proj.bias", random(rows)
        yield f"{prefix}.self_attn.o_proj.weight", random(C, H * D)
        yield f"{prefix}.mlp.gate_proj.weight", random(F, C)
        yield f"{prefix}.mlp.up_proj.weight", random(F, C)
        yield f"{prefix}.mlp.down_proj.weight", random(C, F)

    def table(name):
        yield name, random(V, C)

    def group(first):
        for i in range(first, min(first + 4, layers)):
            yield from layer(f"model.layers.{i}")

    def head():
        yield from table("lm_head.weight")
        yield "model.norm.weight", torch.ones(C, dtype=torch.bfloat16)

    # One file at a time is in memory.
    files = [table("model.embed_tokens.weight"), *(group(i) for i in range(0, layers, 4)), head()]
    weight_map, total = {}, 0
    for i, tensors in enumerate(map(dict, files)):
        name = f"model-{i + 1:05}-of-{len(files):05}.safetensors"
        save_file(tensors, os.path.join(folder, name), metadata=dict(format="pt"))
        weight_map.update(dict.fromkeys(tensors, name))
        total += sum(t.numel() * t.element_size() for t in tensors.values())
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump(dict(metadata=dict(total_size=total), weight_map=weight_map), f, indent=2)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(dict(
            architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_act="silu", hidden_size=C,
            intermediate_size=F, num_hidden_layers=layers, num_attention_heads=H, num_key_value_heads=HKV,
            max_position_embeddings=32768, vocab_size=V, rms_norm_eps=1e-6, rope_theta=1e6,
            tie_word_embeddings=False, use_sliding_window=False, torch_dtype="bfloat16", bos_token_id=151643,
            eos_token_id=151645), f, indent=2)
    shutil.copyfile(os.path.join(tokenizer, "tokenizer.json"), os.path.join(folder, "tokenizer.json"))
    settings = os.path.join(tokenizer, "tokenizer_config.json")
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        f.write(open(settings).read() if os.path.exists(settings) else json.dumps(
            dict(tokenizer_class="Qwen2Tokenizer", eos_token="<|im_end|>", pad_token="<|endoftext|>")))


def write_rows(source, target, count):
    with open(source, encoding="utf-8") as rows, open(target, "w", encoding="utf-8") as out:
        for _, line in zip(range(count), rows):
            text = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n" + "".join(
                f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in json.loads(line)["messages"])
            out.write(json.dumps(dict(text=text)) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("tokenizer")
    parser.add_argument("--layers", type=int, default=LAYERS)
    options = parser.parse_args()
    folder = os.path.abspath(options.folder)
    write_model(os.path.join(folder, "model"), options.tokenizer, options.layers)
    write_rows(os.path.join(EXAMPLE, "train.jsonl"), os.path.join(folder, "train.jsonl"), TRAIN)
    write_rows(os.path.join(EXAMPLE, "val.jsonl"), os.path.join(folder, "val.jsonl"), VALIDATE)
    with open(os.path.join(folder, "run.yml"), "w") as f:
        f.write(RUN.format(folder=folder))
    print(f"nibble train {folder}/run.yml")


main()
