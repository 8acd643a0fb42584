"""Makes a parity case for a GPU machine with torch, transformers and peft:

    python3 eng/parity/make_case.py FOLDER

FOLDER/model      a random Qwen2 with real head sizes, its decoder weights already put through the NF4 round trip with
                  nested absmax, so that quantising them again changes nothing that matters and transformers, which has no
                  bitsandbytes there, computes with the same numbers
FOLDER/adapter    a peft adapter to start from, B not zero
FOLDER/rows.jsonl pre-tokenised rows
FOLDER/run.yml    the run for Nibble
FOLDER/peft.json  the other side: logits, loss, gradients of the first step (peft.safetensors) and 100 losses
"""

import copy
import json
import math
import os
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Qwen2Config

from nf4 import round_trip

OUT = sys.argv[1]
TOKENIZER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "nl2bash", "model")
STEPS, ROWS, PER_STEP, RATE, WARMUP, SEED = 100, 80, 4, 2e-4, 10, 42
os.makedirs(OUT, exist_ok=True)
torch.manual_seed(0)
torch.backends.cuda.matmul.allow_tf32 = False

config = Qwen2Config(
    vocab_size=4096, hidden_size=1792, intermediate_size=4864, num_hidden_layers=4, num_attention_heads=14,
    num_key_value_heads=2, max_position_embeddings=4096, rms_norm_eps=1e-6, tie_word_embeddings=False,
    rope_parameters=dict(rope_type="default", rope_theta=1e6))
model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(torch.bfloat16).cuda()
generator = torch.Generator().manual_seed(1)
with torch.no_grad():
    for name, p in model.named_parameters():
        if "norm" in name:
            p.copy_(1 + 0.1 * torch.randn(p.shape, generator=generator))
        elif name.endswith("bias"):
            p.copy_(0.1 * torch.randn(p.shape, generator=generator))
        else:
            p.copy_(0.03 * torch.randn(p.shape, generator=generator))
        if ".layers." in name and name.endswith("proj.weight"):
            # Twice: the second pass sees the values the first one made, as the trainer's quantiser will.
            p.copy_(round_trip(round_trip(p.float()).bfloat16().float()).bfloat16())
model.save_pretrained(os.path.join(OUT, "model"))
for file in ("tokenizer.json", "tokenizer_config.json"):
    with open(os.path.join(TOKENIZER, file), "rb") as source, open(os.path.join(OUT, "model", file), "wb") as target:
        target.write(source.read())

# What the trainer computes with: its own NF4 of the saved bf16 weights.
with torch.no_grad():
    for name, p in model.named_parameters():
        if ".layers." in name and name.endswith("proj.weight"):
            p.copy_(round_trip(p.float()).bfloat16())

rows = []
with open(os.path.join(OUT, "rows.jsonl"), "w") as f:
    for i in range(ROWS):
        length = int(torch.randint(40, 200, (1,), generator=generator))
        base = torch.randint(0, 64, (1,), generator=generator).item() * 16
        ids = (base + torch.randint(0, 24, (length,), generator=generator)).tolist()
        labels = [-100] * (length // 3) + ids[length // 3:]
        rows.append((ids, labels))
        f.write(json.dumps(dict(input_ids=ids, labels=labels, attention_mask=[1] * length)) + "\n")

lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, task_type="CAUSAL_LM", bias="none",
                  target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
model = get_peft_model(model, lora)
with torch.no_grad():
    for name, p in model.named_parameters():
        if p.requires_grad:
            p.data = p.data.float()
            p.copy_(0.01 * torch.randn(p.shape, generator=generator))
model.save_pretrained(os.path.join(OUT, "adapter"))
with open(os.path.join(OUT, "run.yml"), "w") as f:
    f.write(f"""base_model: {OUT}/model
load_in_4bit: true
adapter: qlora
lora_r: 8
lora_alpha: 16
lora_dropout: 0.0
lora_target_modules: [q_proj, k_proj, v_proj, o_proj]
lora_model_dir: {OUT}/adapter
datasets:
  - path: {OUT}/rows.jsonl
shuffle_merged_datasets: false
val_set_size: 0
sequence_len: 256
micro_batch_size: 1
gradient_accumulation_steps: {PER_STEP}
max_steps: {STEPS}
learning_rate: {RATE}
lr_scheduler: cosine
warmup_steps: {WARMUP}
optimizer: adamw_torch
weight_decay: 0.0
max_grad_norm: 1.0
logging_steps: 1
save_strategy: "no"
seed: {SEED}
output_dir: {OUT}/out
""")


def order():
    epoch = 0
    while True:
        yield from torch.randperm(ROWS, generator=torch.Generator().manual_seed(SEED + epoch)).tolist()
        epoch += 1


def cross_entropy(ids, labels):
    with torch.autocast("cuda", torch.bfloat16):
        logits = model(torch.tensor([ids], device="cuda")).logits[0]
    target = torch.tensor(labels[1:] + [-100], device="cuda")
    return logits, torch.nn.functional.cross_entropy(logits.float(), target, ignore_index=-100, reduction="sum")


def schedule(step):
    if step < WARMUP:
        return step / WARMUP
    return max(0.0, (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP))) / 2)


# The yardstick: the same numbers computed in fp32.
trained = [p for p in model.parameters() if p.requires_grad]
tensors = {}
exact = copy.deepcopy(model).float()
first = torch.randperm(ROWS, generator=torch.Generator().manual_seed(SEED)).tolist()[:PER_STEP]
count = sum(sum(1 for label in rows[i][1][1:] if label != -100) for i in first)
for k, i in enumerate(first):
    ids, labels = rows[i]
    logits = exact(torch.tensor([ids], device="cuda")).logits[0]
    target = torch.tensor(labels[1:] + [-100], device="cuda")
    (torch.nn.functional.cross_entropy(logits, target, ignore_index=-100, reduction="sum") / count).backward()
    tensors[f"exact.row{k}.logits"] = logits.detach().cpu().contiguous()
for name, p in exact.named_parameters():
    if p.requires_grad:
        tensors["exact.gradient." + name.replace(".default", "")] = p.grad.detach().cpu().contiguous()
del exact
optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
losses, norms = [], []
indices = order()
for step in range(STEPS):
    chosen = [next(indices) for _ in range(PER_STEP)]
    count = sum(sum(1 for label in rows[i][1][1:] if label != -100) for i in chosen)
    total = 0.0
    for k, i in enumerate(chosen):
        logits, loss = cross_entropy(*rows[i])
        (loss / count).backward()
        total += loss.item()
        if step == 0:
            tensors[f"row{k}.logits"] = logits.detach().float().cpu().contiguous()
    if step == 0:
        for name, p in model.named_parameters():
            if p.requires_grad:
                tensors["gradient." + name.replace(".default", "")] = p.grad.detach().float().cpu().contiguous()
    norms.append(torch.nn.utils.clip_grad_norm_(trained, 1.0).item())
    for group in optimizer.param_groups:
        group["lr"] = RATE * schedule(step)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(total / count)
tensors["loss"] = torch.tensor([losses[0]])
save_file(tensors, os.path.join(OUT, "peft.safetensors"))
with open(os.path.join(OUT, "peft.json"), "w") as f:
    json.dump(dict(losses=losses, norms=norms), f)
print("peft: loss", losses[0], "->", losses[-1])
